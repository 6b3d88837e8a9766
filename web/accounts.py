"""The demo's accounts: two users and an admin, whose passwords are no secret.

They are there to show permissions at work, so there are none unless `DEMO_ACCOUNTS` says so, as
`bridge demo` does: where strangers reach the node, anybody would be the admin.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in.

    Attributes:
        name: what is typed, and whose jobs are theirs.
        password: not secret: the sign-in page shows it.
        admin: whether they may see and stop everybody's jobs.
    """

    name: str
    password: str
    admin: bool = False


ACCOUNTS = {
    account.name: account
    for account in (
        Account("ann", "ann-demo"),
        Account("bob", "bob-demo"),
        Account("admin", "admin-demo", admin=True),
    )
}


def account_of(name: str, password: str) -> Account | None:
    """Return the account of this name and password, None if there is none."""
    account = ACCOUNTS.get(name)
    return account if account is not None and account.password == password else None
