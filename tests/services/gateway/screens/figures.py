"""What the screens find and what they mistake, in tables: ``python -m tests.services.gateway.screens.figures``.

The tests beside this hold the same numbers to limits.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from sklearn.pipeline import Pipeline
from torch import nn

from services.gateway.samples import digits, spam
from services.modelchain.schema import BitDepth, Median, NonLocalMeans, Squeezer
from services.redteam.tricks import TEXT_TRICKS, altered
from services.screens import novelty, squeezing
from services.screens.images import opened
from services.screens.reading import Reader
from services.screens.text import normalised
from services.shared.architectures import served

Array = np.ndarray[Any, np.dtype[Any]]

EPSILONS = (0.1, 0.15, 0.2, 0.3)
ATTACKED = 200
PGD_STEPS = 20

SETS: dict[str, tuple[Squeezer, ...]] = {
    "2 and 3 bits (the sample's)": digits.SQUEEZERS,
    "1 bit": (BitDepth(bits=1),),
    "2 bits": (BitDepth(bits=2),),
    "3 bits": (BitDepth(bits=3),),
    "median 2x2": (Median(window=2),),
    "median 3x3": (Median(window=3),),
    "non-local means 11-3-4": (NonLocalMeans(search=11, patch=3, strength=4),),
    "1 bit, median 2x2 (MNIST)": (BitDepth(bits=1), Median(window=2)),
    "2, 3 bits, non-local means 5-1-60": (*digits.SQUEEZERS, NonLocalMeans(search=5, patch=1, strength=60)),
}


# --- digits -----------------------------------------------------------------------------------------------------------


class Digits(NamedTuple):
    """A trained network, and images that it never saw."""

    network: nn.Sequential
    calibrates: digits.Data
    judges: digits.Data
    novel: novelty.Novelty
    arrays: dict[str, Array]

    def predict(self, images: Array) -> Array:
        with torch.no_grad():
            return np.asarray(served(self.network)(torch.from_numpy(np.asarray(images, dtype=np.float32))))


def trained() -> Digits:
    """Return the sample, without its files."""
    trains, calibrates, judges = digits.data()
    half = len(calibrates.labels) // 2
    known = np.concatenate([trains.images, calibrates.images[:half]])
    line, arrays = novelty.calibrated(known, calibrates.images[half:], false_positive_rate=digits.NOVEL)
    return Digits(digits.trained(trains), calibrates, judges, novelty.Novelty(line, arrays), arrays)


def attacks(model: Digits) -> dict[str, Array]:
    """Return images that the network had right and has wrong now, by attack, all held out."""
    images, labels = model.judges.images[:ATTACKED], model.judges.labels[:ATTACKED]
    right = model.predict(images).argmax(axis=1) == labels
    images, labels = images[right], labels[right]
    estimator = PyTorchClassifier(
        model=model.network,
        loss=nn.CrossEntropyLoss(),
        input_shape=digits.SHAPE,
        nb_classes=10,
        clip_values=(0, 1),
    )
    made = {}
    with digits.alone():
        for epsilon in EPSILONS:
            fast = FastGradientMethod(estimator, eps=epsilon)
            projected = ProjectedGradientDescent(
                estimator, eps=epsilon, eps_step=epsilon / 5, max_iter=PGD_STEPS, verbose=False
            )
            for name, attack in (("FGSM", fast), ("PGD", projected)):
                moved = attack.generate(images, labels)
                made[f"{name} {epsilon:g}"] = moved[model.predict(moved).argmax(axis=1) != labels]
    return made


def knowing(model: Digits, epsilon: float, steps: int = 100) -> Array:
    """Return images of an attacker who knows the novelty screen and stays below its threshold where possible.

    Projected gradient ascent on the loss, less what the distance exceeds the threshold by: no screen that is known is
    proof against that (Carlini and Wagner, "Adversarial Examples Are Not Easily Detected", 2017).
    """
    images = torch.from_numpy(model.judges.images[:ATTACKED])
    labels = torch.from_numpy(model.judges.labels[:ATTACKED])
    mean, whitening, residual = (
        torch.from_numpy(model.arrays[name]) for name in ("mean", "whitening", "residual")
    )
    excess = 1 / whitening.square().sum(dim=0) / residual
    moved = images.clone()
    for step in range(steps):
        moved = moved.detach().requires_grad_()
        apart = moved.flatten(1) - mean
        inside = (apart @ whitening).square()
        squared = inside.sum(dim=1) + apart.square().sum(dim=1) / residual - inside @ excess
        beyond = (squared.clamp(min=0).sqrt() - 0.97 * model.novel.threshold).clamp(min=0).sum()
        loss = nn.functional.cross_entropy(model.network(moved), labels, reduction="sum") - 2 * beyond
        (slope,) = torch.autograd.grad(loss, moved)
        slope = slope / slope.flatten(1).norm(dim=1).clamp(min=1e-9)[:, None, None, None]
        reach = 4 * epsilon * (1 - step / steps)
        moved = (images + (moved + reach * slope - images).clamp(-epsilon, epsilon)).clamp(0, 1)
    found = np.asarray(moved.detach())
    right = model.predict(model.judges.images[:ATTACKED]).argmax(axis=1) == model.judges.labels[:ATTACKED]
    fooled = model.predict(found).argmax(axis=1) != model.judges.labels[:ATTACKED]
    return np.asarray(found[right & fooled])


def deceiving(model: Digits, squeezers: Sequence[Squeezer] = digits.SQUEEZERS) -> Callable[[Array], Array]:
    """Return the screen, calibrated: whether each image is taken for one that was made to deceive."""
    line = squeezing.calibrated(
        model.predict, model.calibrates.images, squeezers, 0, 1, false_positive_rate=digits.DECEIVING
    )
    return lambda images: squeezing.scores(model.predict, images, squeezers, 0, 1) > line.threshold


def strange(images: Array) -> dict[str, Array]:
    """Return what no digit is, made of digits, each as large and as bright."""
    chance = np.random.default_rng(3)
    return {
        "noise": np.asarray(chance.random(images.shape), dtype=np.float32),
        "inverted": 1 - images,
        "pixels shuffled": chance.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape),
        "blank": np.full_like(images, 0.5),
        "halves swapped": np.roll(images, 4, axis=3),
        "in the border alone": _border(chance, images),
    }


def _border(chance: np.random.Generator, images: Array) -> Array:
    framed = images.copy()
    framed[..., :, 0] = chance.random(framed[..., :, 0].shape)
    return framed


# --- messages ---------------------------------------------------------------------------------------------------------

Judge = Callable[[Sequence[str]], Array]
"""Whether each text is called spam."""


@functools.cache
def pipeline(*, words_alone: bool) -> Pipeline:
    return spam.trained([each for each in spam.messages() if each.split == "train"], words_alone=words_alone)


def judge(*, words_alone: bool) -> Judge:
    model = pipeline(words_alone=words_alone)
    return lambda texts: np.asarray(model.predict(list(texts))) == "spam"


def held_out(label: str) -> list[spam.Message]:
    return [each for each in spam.messages() if each.split == "test" and each.label == label]


def read(texts: Sequence[str]) -> list[str]:
    return [normalised(text).text for text in texts]


def sent(trick: str, label: str = "spam") -> list[str]:
    """Return held-out messages in English after a trick."""
    plain = [each.text for each in held_out(label) if each.language == "en"]
    return [altered(text, trick, seed).text for seed, text in enumerate(plain)]


def pictures(count: int) -> list[bytes]:
    """Return PNG files in which held-out spam is written."""
    texts = [each.text for each in held_out("spam")]
    return [altered(text, "in_image", seed).images[0] for seed, text in enumerate(texts[:count])]


# --- tables -----------------------------------------------------------------------------------------------------------


def table(title: str, head: Sequence[str], rows: Mapping[str, Sequence[float]]) -> None:
    wide = max(map(len, rows))
    print(f"\n{title}\n{'':{wide}}  " + "  ".join(f"{each:>12}" for each in head))
    for name, values in rows.items():
        print(f"{name:{wide}}  " + "  ".join(f"{each:12.2f}" for each in values))


def print_messages() -> None:
    words, sample = judge(words_alone=True), judge(words_alone=False)
    rows = {}
    for trick in TEXT_TRICKS:
        hidden, honest = sent(trick), sent(trick, "ham")
        rows[trick] = [
            float(each.mean())
            for model in (words, sample)
            for each in (model(hidden), model(read(hidden)), model(honest), model(read(honest)))
        ]
    plain, ham = [each.text for each in held_out("spam")], held_out("ham")
    english = [each.text for each in ham if each.language == "en"]
    rows["none"] = [
        float(each.mean())
        for model in (words, sample)
        for each in (model(plain), model(read(plain)), model(english), model(read(english)))
    ]
    head = ("spam bare", "spam screen", "ham bare", "ham screen") * 2
    table(
        "Share called spam, by trick: words alone (left), the sample (right); bare and behind the screen",
        head,
        rows,
    )
    foreign = [each.text for each in ham if each.language != "en"]
    print(f"\nham in other languages called spam: {sample(read(foreign)).mean():.2f} of {len(foreign)}")
    flagged = [each for each in spam.messages() if normalised(each.text).findings]
    print(
        f"messages as they were written that the screen objects to: {len(flagged)} of {len(spam.messages())}"
    )


def print_pictures(count: int = 24) -> None:
    """Say how much of pictures' spam is caught, by engine."""
    reader, program = Reader(), shutil.which("tesseract")
    sample, files = judge(words_alone=False), pictures(count)
    images = [opened(data) for data in files]
    reader._tesseract = None
    written = {"rapidocr": [reader.text(image) for image in images]}
    if program:
        reader._tesseract = program
        written["both"] = [reader.text(image) for image in images]
        written["tesseract"] = [_by_tesseract(program, image) for image in images]
    cover = sample([altered("", "in_image", seed).text for seed in range(count)]).mean()
    print(f"\nspam written in {count} pictures that is caught\n{'the message alone':20} {cover:.2f}")
    for engine, texts in written.items():
        print(f"{engine:20} {sample(read(texts)).mean():.2f}")


def _by_tesseract(program: str, image: Any) -> str:
    from services.screens import reading

    return "\n".join(reading._by_tesseract(program, reading._smaller(image), float("inf")))


def print_digits() -> None:
    model = trained()
    with digits.alone():
        made = attacks(model) | {
            f"knows it {epsilon:g}": knowing(model, epsilon) for epsilon in (0.15, 0.2, 0.3)
        }
    clean = model.judges.images
    head = ("clean", *made)
    rows = {}
    for name, squeezers in SETS.items():
        screen = deceiving(model, squeezers)
        rows[name] = [float(screen(images).mean()) for images in (clean, *made.values())]
    novel = [model.novel.scores(images) > model.novel.threshold for images in (clean, *made.values())]
    rows["novelty"] = [float(each.mean()) for each in novel]
    both = [
        float((deceiving(model)(images) | seen).mean())
        for images, seen in zip((clean, *made.values()), novel, strict=True)
    ]
    rows["novelty or the sample's"] = both
    rows["(that succeed)"] = [0, *(float(len(images)) for images in made.values())]
    table(
        f"Attacks on digits that succeed, and the share that is detected, at {digits.DECEIVING:.0%} false positives",
        head,
        rows,
    )
    odd = {
        name: model.novel.scores(images) > model.novel.threshold for name, images in strange(clean).items()
    }
    table(
        f"What is no digit, called novel at {digits.NOVEL:.0%} false positives",
        ("novel",),
        {"clean": [rows["novelty"][0]], **{name: [float(each.mean())] for name, each in odd.items()}},
    )


if __name__ == "__main__":
    print_messages()
    print_digits()
    print_pictures()
