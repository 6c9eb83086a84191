# SPDX-License-Identifier: Apache-2.0
"""What a shell, a program or a saved account needs so that a program written for IBM's service runs here."""

import enum
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from urllib.parse import urlsplit

import typer

from chandelier import errors
from chandelier.cli import accounts, folder, output, paths
from chandelier.cli import users as people

if TYPE_CHECKING:
    from chandelier.settings import Settings
    from chandelier.store import Transaction
    from chandelier.tenancy.audit import By
    from chandelier.tenancy.network import Place
    from chandelier.tenancy.users import User

#: Addresses to listen on that mean every one of this machine; clients on it are sent to the last.
_ANYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # nothing listens here
_ADDRESS: Final = re.compile(r"(https?://[^\s/?#@\\]+)/?")
#: What a text in single quotes cannot hold as it is.
_FISH: Final = {ord("\\"): "\\\\", ord("'"): "\\'"}
_POWERSHELL: Final = {ord(quote): quote * 2 for quote in "'‘’‚‛"}
#: How each shell sets a variable, from its name and value.
LINES: Final[Mapping[str, Callable[[str, str], str]]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "fish": lambda name, value: f"set -gx {name} '{value.translate(_FISH)}'",
    "powershell": lambda name, value: f"$env:{name} = '{value.translate(_POWERSHELL)}'",
}


class Shell(enum.StrEnum):
    """A language of shells."""

    SH = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"


class Channel(enum.StrEnum):
    """What clients call the way on which they reach the service."""

    PLATFORM = "ibm_quantum_platform"
    FORMER = "ibm_quantum"


class Account(NamedTuple):
    """What a client must know.

    Args:
        root: Where the server is, without a path.
        instance: The project, as the channel calls it.
    """

    channel: Channel
    root: str
    token: str
    instance: str

    @property
    def arguments(self) -> dict[str, str]:
        """What the client is given, or what an account holds."""
        # Today's client takes a URL as it is if this word is in it. Source: protocol 2.1, step 4.
        path = "experimental" if self.channel is Channel.PLATFORM else "api"
        return {
            "channel": self.channel.value,
            "token": self.token,
            "url": f"{self.root}/{path}",
            "instance": self.instance,
        }

    @property
    def surroundings(self) -> dict[str, str]:
        """The variables that no argument stands for. Without the first the token goes to IBM. Source: protocol 2.2."""
        known = {"IAM_URL": self.root, "QISKIT_FUNCTIONS_EXPERIMENTAL": "1"}
        return known if self.channel is Channel.PLATFORM else {}

    @property
    def variables(self) -> dict[str, str]:
        """All variables, so that a program need say nothing. Source: protocol 2.2, Set A′."""
        return {f"QISKIT_IBM_{name.upper()}": value for name, value in self.arguments.items()} | self.surroundings


def env(
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="For whom; makes an API token.", show_default="the operator")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="An API token that exists; - reads it from standard input.", show_default=False)
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar=paths.FORMS["project"], help="Where jobs belong.", show_default="the user's first"),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where clients reach the server.", show_default="where it listens, or the settings"),
    ] = None,
    channel: Annotated[
        Channel, typer.Option(help="The second is for qiskit-ibm-runtime up to 0.40 and qiskit-ibm-provider.")
    ] = Channel.PLATFORM,
    shell: Annotated[Shell, typer.Option(help="For which shell.")] = Shell.SH,
    python: Annotated[bool, typer.Option("--python", help="Print Python instead.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Save an account for the client, and print only what that cannot hold.")
    ] = False,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Print what a shell needs so that QiskitRuntimeService() finds this cloud: eval "$(chandelier env)".

    The account is the operator's. With --user a new API token is made each time, since no text of a token is kept.
    """
    if user is not None and token is not None:
        raise errors.Invalid("Give --user or --token, not both.", 1001)
    if save and channel is not Channel.PLATFORM:
        raise errors.Invalid("--save is for today's client. Earlier ones have `save_account` themselves.", 1001)
    settings = folder.settings(data)
    root = _root(settings, url)
    known = accounts.read() if save else {}
    text = _text(settings, token) if user is None else accounts.token(known)
    with folder.opened(data) as store:
        place, text, note = store.write(lambda tx: _find(tx, folder.by(), user, text, project))
    account = Account(channel, root, text, place.path if channel is Channel.FORMER else _crn(place))
    notes = [note, *_saved(known, account)] if save else [note]
    for line in filter(None, notes):
        typer.echo(line, err=True)
    variables = account.surroundings if save else account.variables
    lines = _snippet(account, saved=save) if python else [LINES[shell](*each) for each in variables.items()]
    output.show({"variables": variables, "account": account.arguments}, "\n".join(lines), as_json=as_json)


def _root(settings: "Settings", url: str | None) -> str:
    """Return where clients reach the server.

    Raises:
        errors.Invalid: That is no such address, or none is known.
    """
    given = url or settings.public_url
    if given:
        address = _ADDRESS.fullmatch(given)
        if address is None:
            raise errors.Invalid(f"{given!r} must be like https://cloud.example.org, without a path.", 1001)
        return address[1]
    host, port = _listener(settings)
    if port == 0:
        raise errors.Invalid("The server takes a free port; start it first, or say with --url which it has.", 1001)
    return f"http://{_ANYWHERE.get(host, f'[{host}]' if ':' in host else host)}:{port}"


def _listener(settings: "Settings") -> tuple[str, int]:
    """Return host and port of the server that runs; of the one that would, if none does."""
    try:
        running = urlsplit(settings.address_file.read_text(encoding="ascii").strip())
        if running.hostname and running.port:
            return running.hostname, running.port
    except (OSError, ValueError):
        pass
    return settings.host, settings.port


def _text(settings: "Settings", token: str | None) -> str:
    """Return the text of the token that was given, or of the operator's.

    Raises:
        errors.Unavailable: The operator's file is not there.
    """
    if token is not None:
        given = token != "-"  # noqa: S105  # no secret, but where to read one
        return token if given else typer.get_text_stream("stdin").readline().strip()
    try:
        return settings.token_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise errors.Unavailable(
            f"{settings.token_file} cannot be read. Run: chandelier init --data {settings.data}; "
            "or say for whom: chandelier env --user EMAIL",
            1008,
        ) from None


def _find(
    tx: "Transaction", by: "By", email: str | None, text: str | None, project: str | None
) -> "tuple[Place, str, str]":
    """Return project, API token, and what to tell of it.

    Args:
        email: Who; None for the owner of the token.
        text: A token to use if it is theirs; else one is made.

    Raises:
        errors.NotFound: There is no such user or project.
        errors.Unauthenticated: The token is nobody's.
        errors.Invalid: The user is no member there.
    """
    from chandelier import acts
    from chandelier.tenancy import users

    holder = None if text is None else users.holder(tx, text, by.now)
    if email is None:
        if holder is None or text is None:
            raise errors.Unauthenticated("The API token is not valid here. Make one: chandelier env --user EMAIL", 2001)
        return _place(tx, users.get(tx, holder), project), text, ""
    user = people.named(tx, email)
    place = _place(tx, user, project)
    if holder == user.id and text is not None:
        return place, text, ""
    text, token = acts.issue_token(tx, by, user, "chandelier env")
    return place, text, f"A new API token for {user.email}. To end it: chandelier token revoke {token.id}"


def _place(tx: "Transaction", user: "User", project: str | None) -> "Place":
    """Return a project of a user: the one that is named, or the first."""
    from chandelier.tenancy import members

    places = members.places_of(tx, user.id)
    if project is None:
        if not places:
            raise errors.Invalid(
                f"{user.email} is a member of no project. Add one: chandelier member add PROJECT {user.email}", 1001
            )
        return places[0]
    path = paths.get(tx, project, "project").path
    found = next((place for place in places if place.path == path), None)
    if found is None:
        raise errors.Invalid(
            f"{user.email} is no member of {path}. Add them: chandelier member add {path} {user.email}", 1001
        )
    return found


def _crn(place: "Place") -> str:
    """Return a project's name as an instance."""
    from chandelier.runtime import instances

    return instances.crn(place)


def _saved(known: Mapping[str, Mapping[str, object]], account: Account) -> list[str]:
    """Save an account, and return what to tell of it."""
    before = accounts.save(known, account.arguments)
    told = [f"Saved as {accounts.NAME} in {accounts.path()}, readable by you alone. It is the default account now."]
    return told + [f"Before, that was {name}: QiskitRuntimeService(name={name!r})" for name in before]


def _snippet(account: Account, *, saved: bool) -> list[str]:
    """Return lines of Python that do the same."""
    settings = [f'os.environ["{name}"] = {_literal(value)}' for name, value in account.surroundings.items()]
    start = ["import os", "", *settings, ""] if settings else []
    given = [] if saved else [f"    {name}={_literal(value)}," for name, value in account.arguments.items()]
    call = ["service = QiskitRuntimeService(", *given, ")"] if given else ["service = QiskitRuntimeService()"]
    return [*start, "from qiskit_ibm_runtime import QiskitRuntimeService", "", *call]


def _literal(text: str) -> str:
    """Return a text as Python writes it; what JSON writes is that too."""
    return json.dumps(text, ensure_ascii=False)
