"""What the bastion does to itself at its first start, as cloud-init user data: keys in, everything else shut.

It is plain text that anybody may read: no secret is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

USER_DATA_BYTES = 16384
"""What EC2 takes, before it is encoded (EC2 User Guide, "Run commands when you launch an EC2 instance")."""

_SSHD = """\
# Only keys, only people by name, only modern algorithms (Mozilla OpenSSH guidelines, "Modern").
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
AuthorizedKeysCommand none
AllowUsers {accounts}
MaxAuthTries 3
MaxSessions 4
LoginGraceTime 20
ClientAliveInterval {idle_seconds}
ClientAliveCountMax 1
X11Forwarding no
AllowAgentForwarding no
AllowTcpForwarding local
AllowStreamLocalForwarding no
PermitOpen *:22
PermitTunnel no
PermitUserEnvironment no
LogLevel VERBOSE
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
Banner /etc/issue.net
"""

_BANNER = "Authorised users only. Every session is recorded.\n"

# sshd knows silent clients, the shell and the login manager know silent people.
_IDLE_SHELL = "readonly TMOUT={idle_seconds}\nexport TMOUT\n"
_IDLE_SESSION = "[Login]\nStopIdleSessionSec={idle_seconds}\n"

# The machine's role is the machine's, not its users': their sessions do not reach its credentials.
_NO_METADATA = "[Slice]\nIPAddressDeny=169.254.169.254 fd00:ec2::254\n"

# In the place of Amazon Linux's own rules, of which "-a never,task" would record nothing (auditctl(8),
# "DISABLED BY DEFAULT"). Every command and every connection of whoever signed in; locked until the next start.
_AUDIT_RULES = """\
-D
-b 8192
-f 1
-a always,exit -F arch=b64 -S execve -S execveat -S connect -F auid!=unset -k session
-w /etc/ssh -p wa -k sshd
-w /etc/audit -p wa -k audit
-e 2
"""

# It is part of the image and gives sshd, on its command line, a second place to take keys from: whoever may call
# ec2-instance-connect:SendSSHPublicKey would need none of ours. Gone before sshd starts.
_REMOVE_INSTANCE_CONNECT = "rpm -qa 'ec2-instance-connect*' | xargs -r rpm -e"

_CLAIM_ADDRESS = """\
# Takes the fixed address: the group has one machine, and a new one must be found where the old one was.
set -euo pipefail
token=$(curl -sSf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
id=$(curl -sSf -m 5 -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
for attempt in $(seq 12); do
  aws ec2 associate-address --region {region} --allocation-id {allocation_id} --instance-id "$id" --allow-reassociation && exit 0
  sleep 10
done
exit 1
"""

# A new machine has new host keys: who connects compares them with what the log says.
_TELL_HOST_KEYS = "for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done | logger -p authpriv.notice -t host-keys"

_AGENT = "/opt/aws/amazon-cloudwatch-agent"


def cloud_config(
    *,
    accounts: Mapping[str, Sequence[str]],
    idle_timeout_minutes: int,
    region: str,
    allocation_id: str,
    log_group: str,
) -> str:
    """Return the cloud-config document (cloud-init documentation, "Cloud config data").

    Args:
        accounts: OpenSSH public keys by account, one account a person.
        idle_timeout_minutes: After how many silent minutes a session is closed.
        region: The region.
        allocation_id: The Elastic IP that the machine takes.
        log_group: Where its logs go.
    """
    document = {
        # Before sshd, and through the VPC's endpoint: until then the machine has no public address.
        "bootcmd": [
            ["bash", "-c", _REMOVE_INSTANCE_CONNECT],
            ["bash", "-c", _CLAIM_ADDRESS.format(region=region, allocation_id=allocation_id)],
        ],
        "ssh_pwauth": False,
        "disable_root": True,
        "users": [_user(name, keys) for name, keys in accounts.items()],
        "package_update": True,
        "package_upgrade": True,
        "packages": ["amazon-cloudwatch-agent", "audit", "rsyslog"],
        "write_files": [
            {"path": path, "permissions": "0644", "content": content}
            for path, content in _files(accounts, idle_timeout_minutes * 60, log_group).items()
        ],
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "restart", "systemd-logind"],
            ["systemctl", "enable", "--now", "rsyslog"],
            ["rm", "-f", "/etc/audit/rules.d/10-no-audit.rules"],
            ["augenrules", "--load"],
            ["bash", "-c", _TELL_HOST_KEYS],
            # Only what starts after the rules were loaded is recorded.
            ["systemctl", "restart", "sshd"],
            [
                f"{_AGENT}/bin/amazon-cloudwatch-agent-ctl",
                "-a",
                "fetch-config",
                "-m",
                "ec2",
                "-s",
                "-c",
                f"file:{_AGENT}/etc/amazon-cloudwatch-agent.json",
            ],
        ],
    }
    # JSON is YAML, and a JSON writer cannot get the quoting wrong; tight, since EC2 takes no more than 16 KB.
    return "#cloud-config\n" + json.dumps(document, separators=(",", ":"))


def _user(name: str, keys: Sequence[str]) -> dict[str, object]:
    return {"name": name, "shell": "/bin/bash", "lock_passwd": True, "ssh_authorized_keys": list(keys)}


def _files(accounts: Mapping[str, Sequence[str]], idle_seconds: int, log_group: str) -> dict[str, str]:
    return {
        "/etc/ssh/sshd_config.d/00-bastion.conf": _SSHD.format(
            accounts=" ".join(accounts), idle_seconds=idle_seconds
        ),
        "/etc/issue.net": _BANNER,
        "/etc/profile.d/idle.sh": _IDLE_SHELL.format(idle_seconds=idle_seconds),
        "/etc/systemd/logind.conf.d/idle.conf": _IDLE_SESSION.format(idle_seconds=idle_seconds),
        "/etc/systemd/system/user-.slice.d/50-no-metadata.conf": _NO_METADATA,
        "/etc/audit/rules.d/audit.rules": _AUDIT_RULES,
        f"{_AGENT}/etc/amazon-cloudwatch-agent.json": _agent(log_group),
    }


def _agent(log_group: str) -> str:
    """Return the CloudWatch agent's configuration: sign-ins and the kernel's record of sessions are shipped."""
    collected = [
        {"file_path": path, "log_group_name": log_group, "log_stream_name": f"{{instance_id}}/{stream}"}
        for path, stream in (("/var/log/secure", "secure"), ("/var/log/audit/audit.log", "audit"))
    ]
    return json.dumps(
        {
            "agent": {"run_as_user": "root"},
            "logs": {"logs_collected": {"files": {"collect_list": collected}}},
        }
    )
