"""Who somebody is, as AWS names them, and what a proof of it must be for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from tidegate.core.errors import NotAllowedNow

_SESSION = "assumed-role"
_WILD = {"*": ".*", "?": "."}


@dataclass(frozen=True, slots=True)
class Identity:
    """An IAM identity, by the parts of its ARN."""

    arn: str
    account: str
    role: str  # "" for a user
    name: str  # of the user, or of the session

    @property
    def person(self) -> str:
        """Whoever is behind it: one person in two roles is still one person."""
        return self.name.casefold()

    def __str__(self) -> str:
        where = ", ".join(filter(None, (self.role, self.account)))
        return f"{self.name} ({where})" if where else self.name


def identify(arn: str) -> Identity:
    """The parts of ``arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`` and the like.

    What is no ARN is a name. ("Identify AWS resources with Amazon Resource Names", IAM User Guide.)
    """
    if not arn.startswith("arn:"):
        return Identity(arn, account="", role="", name=arn)
    *_, account, resource = arn.split(":", 5)
    kind, *path = resource.split("/")
    if kind == _SESSION and path:
        role, session = path[0], "/".join(path[1:])
        return Identity(arn, account, role, session or role)
    return Identity(arn, account, role="", name=path[-1] if path else kind)


def check_account(identity: Identity, accounts: Collection[str]) -> None:
    """Raises ``NotAllowedNow`` for somebody of an account that has no say here."""
    if identity.account not in accounts:
        raise NotAllowedNow(
            f"{identity} is not of an account that may ask this controller.",
            remedy="Its parameter OperatorAccounts names those beside its own.",
        )


def check_voter(identity: Identity, roles: Collection[str]) -> None:
    """Raises ``NotAllowedNow`` for a session whose name its user could choose freely.

    ``roles`` are the names, or patterns with ``*``, of roles whose trust fixes the session's name
    ("AWS STS condition keys": ``sts:RoleSessionName``). A user's name is always theirs.
    """
    if identity.role and not any(matches(identity.role, role) for role in roles):
        raise NotAllowedNow(
            f"{identity} may not vote: whoever assumes {identity.role} may choose any name.",
            remedy="Assume a role that the controller's parameter VoterRoles names, one whose "
            "trust fixes the name of the session (pipeline/operator-role.yaml).",
        )


def check_right(identity: Identity, rights: Iterable[str], application: str, verb: str) -> None:
    """Raises ``NotAllowedNow`` unless one of the rights is for this role, application and verb.

    A right is ``ROLE/APPLICATION/VERB``, each with ``*`` for any text; a user has the role ``""``.
    """
    asked = (identity.role, application, verb)
    if not any(all(map(matches, asked, right.split("/"))) for right in rights):
        raise NotAllowedNow(
            f"{identity} may not {verb} releases of {application}.",
            remedy="The controller's parameter OperatorRights says who may: ROLE/APPLICATION/VERB.",
        )


def matches(name: str, pattern: str) -> bool:
    """Whether IAM takes the name for one that is meant: ``*`` is any text, ``?`` one character."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    signs = (_WILD.get(sign) or re.escape(sign) for sign in pattern)
    return re.compile("".join(signs), re.DOTALL)


def subject_of(
    controller: str,
    verb: str,
    release_id: str,
    stage: str,
    *,
    argument: str = "",
    reason: str = "",
    shown: str = "",
) -> str:
    """What a proof of identity is for: one action, asked of one controller, for one reason.

    ``controller`` is the ARN of the function that is asked, ``shown`` the digest of what an
    approval is bound to. What people type is digested, so that it fits into a header.
    """
    typed = json.dumps([argument, reason, shown]).encode()
    return f"{controller} {verb}:{release_id}:{stage} {hashlib.sha256(typed).hexdigest()}"
