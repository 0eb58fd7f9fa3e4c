"""Gets every answer, from flags or from a person, and checks each at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from blueprint.errors import BadInput
from blueprint.forking.answering import File, environment_answers, problems
from blueprint.forking.questions import QUESTIONS, Question

MAX_KEY_FILE_BYTES = 64 * 1024

Ask = Callable[[str], str]
"""Shows a prompt to a person and returns the line that was typed; ``EOFError`` where nobody types any more."""
Tell = Callable[[str], object]


class Asking:
    """The answers of each environment, as they come in."""

    def __init__(
        self, files: Mapping[str, File], *, ask: Ask | None, tell: Tell, others: Collection[str] = ()
    ) -> None:
        """Ask with ``ask``, or nobody where that is ``None``; say what is wrong with ``tell``.

        What is answered for ``others``, environments that are left alone this time, is passed over.
        """
        self._files, self._ask, self._tell, self._others = files, ask, tell, frozenset(others) - set(files)
        self._wrong: list[str] = []
        self.answers: dict[str, dict[str, tuple[str, ...]]] = {environment: {} for environment in files}

    def everything(self, flags: Mapping[str, Sequence[str]]) -> None:
        """Go through all questions; flags answer theirs.

        Raises:
            BadInput: flags are wrong, or missing where nobody can be asked; one line for each.
        """
        for question in QUESTIONS:
            if given := flags.get(question.name):
                self._from_flags(question, given)
            elif self._ask is None:
                self._from_nobody(question)
            # Nobody is asked for more once a flag is wrong: the answers would be lost.
            elif not self._wrong:
                self._from_person(question, self._ask)
        if self._wrong:
            raise BadInput("\n".join(dict.fromkeys(self._wrong)))

    def _from_flags(self, question: Question, given: Sequence[str]) -> None:
        try:
            self._wrong += [f"{question.flag}: {line}" for line in self._take(question, given)]
        except BadInput as error:
            self._wrong.append(str(error))

    def _from_nobody(self, question: Question) -> None:
        lacking = self._use_defaults(question, usual_home=False)
        if lacking and question.needed:
            where = f" for {', '.join(lacking)}" if len(lacking) < len(self._files) or question.each else ""
            self._wrong.append(
                f"{question.flag}: is missing{where}, and nobody can be asked; write {question.flag} {question.example}"
            )
        # What is missing is said to be that, and not to be the template's example besides.
        elif not lacking:
            said = {line.partition(": ")[2] for line in self._wrong}
            found = [line for line in self._problems(question) if line not in said]
            self._wrong += [f"{question.flag}: {line}" for line in found]

    def _from_person(self, question: Question, ask: Ask) -> None:
        for group in [[each] for each in self._files] if question.each else [list(self._files)]:
            while not self._answered(question, group, ask):
                pass

    def _answered(self, question: Question, group: Sequence[str], ask: Ask) -> bool:
        """Ask once; say whether the answer will do."""
        lacking = self._use_defaults(question, group)
        shown = self._shown(question, group)
        place = f"{group[0]}: " if question.each else ""
        several = ", separated by commas" if question.many else ""
        try:
            line = ask(f"{place}{question.asks}{several}{f' [{shown}]' if shown else ''}: ").strip()
        except EOFError:
            raise BadInput(
                f"the input ended before {question.flag} was answered; nothing was changed"
            ) from None
        except UnicodeDecodeError:
            self._tell("is not UTF-8 text; write it again")
            return False
        if not line and lacking and question.needed:
            self._tell(f"is needed; write it, like {question.example.rpartition('=')[2]}")
            return False
        try:
            wrong = (
                self._take(question, _parts(line, question), group)
                if line
                else self._problems(question, group)
            )
        except BadInput as error:
            wrong = [str(error).removeprefix(f"{question.flag}: ")]
        for each in dict.fromkeys(wrong):
            self._tell(each)
        return not wrong

    def _take(self, question: Question, given: Sequence[str], group: Iterable[str] = ()) -> list[str]:
        """Keep answers; return what is wrong with them."""
        group = list(group or self._files)
        given = [each for each in given if each.partition("=")[0] not in self._others]
        if question.name == "ssh-key":
            given = [key for each in given for key in _keys(each)]
        if not all(_value(each, self._files).strip() for each in given):
            raise BadInput(f"{question.flag}: is empty; write one like {question.example}")
        found = environment_answers(question, given, self._files)
        for environment in group:
            if found[environment]:
                self.answers[environment][question.name] = found[environment]
        lacking = [each for each in group if not found[each]]
        if (
            lacking
            and (unanswered := set(lacking) & set(self._use_defaults(question, lacking)))
            and question.needed
        ):
            names = ", ".join(each for each in self._files if each in unanswered)
            raise BadInput(f"{question.flag}: is missing for {names}; write one like {question.example}")
        return self._problems(question, group)

    def _problems(self, question: Question, group: Iterable[str] = ()) -> list[str]:
        found = [
            line
            for environment in group or self._files
            for line in problems(self._files[environment], self.answers[environment], question)
        ]
        return list(dict.fromkeys(found))

    def _use_defaults(
        self, question: Question, group: Iterable[str] = (), *, usual_home: bool = True
    ) -> list[str]:
        """Answer with what follows from the file or from other answers; return the environments left over."""
        lacking = []
        for environment in group or self._files:
            self.answers[environment].pop(question.name, None)
            default = self._default(question, environment, usual_home=usual_home)
            if default:
                self.answers[environment][question.name] = default
            elif not self._files[environment].present(question):
                lacking.append(environment)
        return lacking

    def _default(self, question: Question, environment: str, *, usual_home: bool) -> tuple[str, ...]:
        """Return what follows from other answers; nothing where the file's own value may stay."""
        file, answers = self._files[environment], self.answers[environment]
        present = file.present(question)
        jurisdiction = self._of("jurisdiction", environment)
        regions = list(file.rules.jurisdictions.get(jurisdiction, ()))
        match question.name:
            case "home-region" if usual_home and not set(present) & set(regions):
                return tuple(regions[:1])
            case "backup-region":
                others = [region for region in regions if region != self._of("home-region", environment)]
                return () if set(present) & set(others) else tuple(others[:1])
            case "repository" if not present:
                return (file.project,)
            case "findings" if not present:
                # What is wrong with it was said already.
                wrong = problems(file, answers, _ALERT)
                return () if wrong else answers.get("alert", ()) or file.present(_ALERT)
            case _:
                return ()

    def _of(self, name: str, environment: str) -> str:
        """Return the answer to an earlier question, or what the file says."""
        (question,) = (each for each in QUESTIONS if each.name == name)
        found = self.answers[environment].get(name) or self._files[environment].present(question)
        return found[0] if found else ""

    def _shown(self, question: Question, group: Sequence[str]) -> str:
        stands = {
            self.answers[each].get(question.name) or self._files[each].present(question) for each in group
        }
        return ", ".join(stands.pop()) if len(stands) == 1 else "as it stands in each file"


(_ALERT,) = (each for each in QUESTIONS if each.name == "alert")


def _value(given: str, environments: Iterable[str]) -> str:
    environment, _, rest = given.partition("=")
    return rest if environment in environments else given


def _parts(line: str, question: Question) -> list[str]:
    return [part.strip() for part in line.split(",") if part.strip()] if question.many else [line]


def _keys(value: str) -> list[str]:
    """Return the public keys of an answer: itself, or the lines of the file that it names."""
    environment, separator, rest = value.partition("=")
    named = separator and environment.isalpha() and not rest.startswith("=")
    text = rest if named else value
    path = Path(text).expanduser()
    try:
        if (
            "/" not in text.partition(" ")[0]
            or text.startswith(("ssh-", "ecdsa-", "sk-"))
            or not path.is_file()
        ):
            return [value]
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        raise BadInput("--ssh-key: is a file that cannot be read as text; name the .pub file") from None
    # Not a line of a private key goes further than this.
    lines = ["PRIVATE KEY"] if "PRIVATE KEY" in content else content.splitlines()
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [f"{environment}={line}" if named else line for line in found]
