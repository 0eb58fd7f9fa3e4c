"""What the bastion does to itself at its first start, as cloud-init user data: keys in, everything else shut.

It is plain text that anybody may read: no secret is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

USER = "bastion"

_SSHD = """\
# Only keys, only one user, only modern algorithms (Mozilla OpenSSH guidelines, "Modern").
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
AllowUsers {user}
MaxAuthTries 3
MaxSessions 4
LoginGraceTime 20
ClientAliveInterval {alive_seconds}
ClientAliveCountMax 1
X11Forwarding no
AllowAgentForwarding no
PermitTunnel no
PermitUserEnvironment no
LogLevel VERBOSE
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
Banner /etc/issue.net
"""

_BANNER = "Authorised users only. Every session is recorded.\n"

# Every command of every session, kept by the kernel where a user cannot edit it.
_AUDIT_RULES = """\
-a always,exit -F arch=b64 -S execve -F auid>=1000 -F auid!=unset -k session
-w /etc/ssh/sshd_config.d -p wa -k sshd
-e 2
"""

_CLAIM_ADDRESS = """\
# Takes the fixed address: the group has one machine, and a new one must be found where the old one was.
set -euo pipefail
token=$(curl -sSf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
id=$(curl -sSf -m 5 -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
for attempt in 1 2 3 4 5; do
  aws ec2 associate-address --region {region} --allocation-id {allocation_id} --instance-id "$id" && exit 0
  sleep 5
done
exit 1
"""

_PRIVATE_KEY = re.compile("PRIVATE KEY")
_PUBLIC_KEY = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|ssh-rsa) [A-Za-z0-9+/]+={0,3}( [\w.@+-]+)?"
)


def check_public_keys(public_keys: Sequence[str]) -> None:
    """Refuse what is not an OpenSSH public key, without telling what stands there: it may be a private one.

    Raises:
        ValueError: with the position of the first one that is wrong.
    """
    if not public_keys:
        raise ValueError("public_keys is empty; name the OpenSSH public key of each approved user")
    for index, key in enumerate(public_keys):
        if _PRIVATE_KEY.search(key):
            raise ValueError(
                f"public_keys[{index}] is a private key; write the public key, and replace the pair"
            )
        if not _PUBLIC_KEY.fullmatch(key.strip()):
            raise ValueError(
                f"public_keys[{index}] is not an OpenSSH public key; write ssh-ed25519 AAAA... name"
            )


def cloud_config(
    *, public_keys: Sequence[str], idle_timeout_minutes: int, region: str, allocation_id: str, log_group: str
) -> str:
    """Return the cloud-config document (cloud-init documentation, "Cloud config data").

    Args:
        public_keys: OpenSSH public keys of the approved users.
        idle_timeout_minutes: After how many silent minutes a session is closed.
        region: The region.
        allocation_id: The Elastic IP that the machine takes.
        log_group: Where its logs go.
    """
    check_public_keys(public_keys)
    files = {
        "/etc/ssh/sshd_config.d/00-bastion.conf": _SSHD.format(
            user=USER, alive_seconds=idle_timeout_minutes * 60
        ),
        "/etc/issue.net": _BANNER,
        "/etc/profile.d/idle.sh": f"readonly TMOUT={idle_timeout_minutes * 60}\nexport TMOUT\n",
        "/etc/audit/rules.d/50-sessions.rules": _AUDIT_RULES,
        "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json": _agent(log_group),
    }
    claim = _CLAIM_ADDRESS.format(region=region, allocation_id=allocation_id)
    document = {
        # Before everything else, and through the VPC's endpoint: until then the machine has no public address.
        "bootcmd": [["bash", "-c", claim]],
        "ssh_pwauth": False,
        "disable_root": True,
        "users": [
            {
                "name": USER,
                "shell": "/bin/bash",
                "lock_passwd": True,
                "ssh_authorized_keys": list(public_keys),
            }
        ],
        "package_update": True,
        "package_upgrade": True,
        "packages": ["amazon-cloudwatch-agent", "audit", "rsyslog", "dnf-automatic"],
        "write_files": [
            {"path": path, "permissions": "0644", "content": content} for path, content in files.items()
        ],
        "runcmd": [
            ["sed", "-i", "s/^apply_updates = .*/apply_updates = yes/", "/etc/dnf/automatic.conf"],
            ["systemctl", "enable", "--now", "rsyslog", "dnf-automatic.timer"],
            ["augenrules", "--load"],
            ["sshd", "-t"],
            ["systemctl", "restart", "sshd"],
            [
                "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl",
                "-a",
                "fetch-config",
                "-m",
                "ec2",
                "-s",
                "-c",
                "file:/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json",
            ],
        ],
    }
    # JSON is YAML, and a JSON writer cannot get the quoting wrong.
    return "#cloud-config\n" + json.dumps(document, indent=1)


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
        },
        indent=1,
    )
