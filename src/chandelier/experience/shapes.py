# SPDX-License-Identifier: Apache-2.0
"""The shapes of what goes over the wire: answers, query parameters and errors, for the description of the API.

Documents are plain dictionaries, made in `documents` and `formats`; a shape says which keys they have and of which
types. `/openapi.json` is made of the shapes, and every answer that a test receives is held against its own. Keys that
a shape does not name may be there too, because devices and programs bring their own.
"""

import functools
import types
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

T = TypeVar("T")
#: What may be left out; never null, because clients take a key that is there for a value.
Maybe: TypeAlias = T | UnsetType
#: Anything that is an object.
Object: TypeAlias = dict[str, Any]
#: An object with at least one key: the oldest client asks five times for an empty one. Source: protocol 2.5.
Something: TypeAlias = Annotated[dict[str, Any], Meta(min_length=1)]

_MOMENT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_DATED: Final = {"format": "date-time"}
#: When something happened, in milliseconds, as the strictest client parses it. Source: traps 18.
Date: TypeAlias = Annotated[str, Meta(pattern=_MOMENT + r"\.[0-9]{3}Z$", extra_json_schema=_DATED)]
#: When something was measured or put online, in seconds. Source: protocol 9.1.
Second: TypeAlias = Annotated[str, Meta(pattern=_MOMENT + r"Z$", extra_json_schema=_DATED)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Amount: TypeAlias = Annotated[float, Meta(ge=0)]
Priority: TypeAlias = Annotated[int, Meta(ge=1)]
#: Three numbers, or clients that parse it fail. Source: protocol 9.1.
Version: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
Url: TypeAlias = Annotated[str, Meta(pattern=r"^https?://")]
#: Pairs of qubits that a two-qubit gate may act on; null where every pair may.
Coupling: TypeAlias = list[list[Count]]


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """What went wrong. Source: protocol 2.3."""

    status: Annotated[int, Meta(ge=400, le=599)]
    status_code: Annotated[int, Meta(ge=400, le=599)]
    name: str
    code: int
    message: Annotated[str, Meta(min_length=1)]


class Envelope(msgspec.Struct, frozen=True):
    """The answer to a request that cannot be served."""

    error: Failure


class About(msgspec.Struct, frozen=True, rename={"auth": "api-auth", "app": "api-app", "utils": "api-utils"}):
    """Which API this is. Source: protocol 3.1."""

    new_api: Literal[True]
    auth: str
    app: str
    utils: str


class Login(msgspec.Struct, frozen=True, rename="camel"):
    """An access token, and for how many seconds it is valid. Source: protocol 2.1."""

    id: str
    ttl: Count
    created: Date
    user_id: str


class Urls(msgspec.Struct, frozen=True):
    """Where the API and the status streams are."""

    http: Url
    ws: Annotated[str, Meta(pattern="^wss?://.*/$")]
    services: Object


class Me(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The caller, for clients that name themselves; one of them refuses any other key. Source: protocol 3.2."""

    id: str
    username: str
    email: str
    urls: Urls
    user_type: str
    first_name: str | None
    last_name: str | None
    institution: str | None
    subscriptions: dict[Literal["surveys", "newsletter", "updates", "tips", "updatesInTool"], int]
    roles: list[str]
    q_network_roles: list[str]
    services_roles: list[str]
    applications: list[str]
    login_accounts: list[Any]
    can_schedule_backends: bool
    ibm_q_network: bool = msgspec.field(name="ibmQNetwork")
    needs_refill: bool
    read_only: bool
    email_verified: bool
    iqx_preferences: Object
    terms: Object


class UserType(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of account it is. Source: D1, `GET /users/me`."""

    type: str
    id: str
    default: bool
    priority: bool | int
    credit: dict[Literal["credits"], int]
    delete: bool


class Credit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an account may spend. Source: D1, `GET /users/me`; protocol 3.2."""

    remaining: int
    promotional: int
    max_user_type: int
    promotional_codes_used: Maybe[list[Any]] = UNSET


class FormerMe(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The caller, for those who name no client: the form of January 2020. Source: D1, `GET /users/me`."""

    id: str
    username: str
    email: str
    first_name: str
    last_name: str
    institution: str
    user_type_id: str
    status: str
    blocked: str | bool
    subscriptions: dict[str, int]
    additional_data: Object
    codes_last_version: Object
    creation_date: Date
    last_modified: Date
    iqx_preferences: Any
    email_verified: bool
    credit: Credit
    ibm_q_network: bool = msgspec.field(name="ibmQNetwork")
    urls: Urls
    dpl: Object
    user_type: UserType
    groups: list[Any]
    roles: list[Any]


class Share(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A device of a project."""

    name: str
    priority: Priority
    deleted: bool
    configuration: Object
    specific_configuration: Object


class Node(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What hubs, groups and projects have in common."""

    name: str
    title: str
    description: str
    creation_date: Date
    deleted: bool
    is_default: bool


class Project(Node, frozen=True, kw_only=True, rename="camel"):
    """A project, with its devices by id. Source: protocol 3.3."""

    devices: dict[str, Share]
    priority: Maybe[Priority] = UNSET


class Group(Node, frozen=True, kw_only=True, rename="camel"):
    """A group, with its projects by name. Source: protocol 3.3."""

    projects: dict[str, Project]
    priority: Maybe[Priority] = UNSET


class Hub(Node, frozen=True, kw_only=True, rename="camel"):
    """A hub, with its groups by name. Source: protocol 3.3."""

    id: str
    kind: str = msgspec.field(name="class")
    private: bool
    license_not_required: bool
    analytics: bool
    groups: dict[str, Group]
    priority: Maybe[Priority] = UNSET


class Signed(msgspec.Struct, frozen=True):
    """An address that needs no token."""

    url: Url


class Deleted(msgspec.Struct, frozen=True):
    """It is deleted."""

    deleted: Literal[True]


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A LoopBack filter of jobs: conditions, order, page and fields. Source: protocol 8."""

    where: Maybe[Object] = UNSET
    order: Maybe[str | list[str]] = UNSET
    limit: Maybe[Count] = UNSET
    skip: Maybe[Count] = UNSET
    fields: Maybe[str | list[str] | dict[str, bool | int]] = UNSET


class JobsQuery(msgspec.Struct, frozen=True):
    """Which jobs are wanted."""

    filter: Maybe[JobFilter] = UNSET


class Before(msgspec.Struct, frozen=True):
    """Before a date: ISO, in UTC unless it has an offset."""

    lt: Date


class Updated(msgspec.Struct, frozen=True, kw_only=True):
    """A condition on the date of a calibration."""

    last_update_date: Maybe[Before] = UNSET


class PropertiesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calibration is wanted: the newest before a date. Source: protocol 4.2."""

    where: Maybe[Updated] = UNSET


class PropertiesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which calibration is wanted; clients send a version that means nothing."""

    filter: Maybe[PropertiesFilter] = UNSET
    version: Maybe[str] = UNSET


class BookingsQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which reservations are wanted."""

    initial_date: Maybe[str] = UNSET
    end_date: Maybe[str] = UNSET


class SignedQuery(msgspec.Struct, frozen=True):
    """The signature of an address, and the second since 1970 until which it is valid."""

    expires: Count
    signature: str


@functools.cache
def listed(shape: type[msgspec.Struct]) -> Any:
    """Return the shape of a list of `shape`, of whose keys a filter's `fields` may have left out any."""
    fields = [
        (field.name, field.type | UnsetType, msgspec.field(default=UNSET, name=field.encode_name))
        for field in msgspec.structs.fields(shape)
    ]
    part = msgspec.defstruct(
        f"Listed{shape.__name__}",
        fields,
        frozen=True,
        kw_only=True,
        namespace={"__doc__": f"Some of the keys of `{shape.__name__}`; all of them without `fields` in the filter."},
    )
    return types.GenericAlias(list, (part,))
