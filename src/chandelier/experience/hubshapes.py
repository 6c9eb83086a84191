# SPDX-License-Identifier: Apache-2.0
"""The shapes of what administrators of hubs are answered, and of their query parameters."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from chandelier.experience import analytics, shapes
from chandelier.experience.shapes import Amount, Count, Date, Maybe, Object, Priority

Percent = Annotated[float, Meta(ge=0, le=100)]


class TimeLimit(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds of device time may be used in how many days."""

    seconds: Amount
    days: Priority


class CapabilitiesSet(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What may be done with a device, as far as it was set."""

    open_pulse: Maybe[bool] = UNSET
    max_experiments: Maybe[Priority] = UNSET
    max_shots: Maybe[Priority] = UNSET
    pulse_qubits: Maybe[Priority] = UNSET
    pulse_channels: Maybe[Priority] = UNSET


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a device of a project: the least of what was set on the way to it and of what the device does."""

    capabilities: CapabilitiesSet
    limit: Maybe[Priority] = UNSET
    pending: Maybe[Priority] = msgspec.field(name="maxPending", default=UNSET)


class Details(Effective, frozen=True, kw_only=True):
    """What was set for a device at one level. Source: seed 001, `configurationDetails`."""

    time: Maybe["TimeLimit"] = msgspec.field(name="timeLimit", default=UNSET)
    effective: Maybe[Effective] = UNSET


class Granted(shapes.Share, frozen=True, kw_only=True, rename="camel"):
    """A device of a hub, group or project; where it cannot be used that is told. Source: seed 001, `POST …/devices`."""

    share: Maybe[Percent] = UNSET
    usable: Maybe[Literal[False]] = UNSET


class Person(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody with a role, or without it any more. Source: seed 001, `POST …/users`."""

    role: Literal["admin", "member"]
    deleted: bool
    email: str
    name: str
    date_joined: Date
    invited: Maybe[Literal[True]] = UNSET


class RunProject(shapes.Node, frozen=True, kw_only=True, rename="camel"):
    """A project as its administrators see it."""

    priority: Priority
    share: Percent
    devices: dict[str, Granted]
    users: dict[str, Person]


class RunGroup(RunProject, frozen=True, kw_only=True, rename="camel"):
    """A group as its administrators see it."""

    projects: dict[str, RunProject]


class RunHub(shapes.Node, frozen=True, kw_only=True, rename="camel"):
    """A hub as its administrators see it. Source: seed 001, `GET /Network/{hub}`."""

    id: str
    kind: str = msgspec.field(name="class")
    private: bool
    license_not_required: bool
    analytics: bool
    ui: Object
    provider_node_id: str
    priority: Priority
    owner_id: Maybe[str] = UNSET
    groups: dict[str, RunGroup]
    devices: dict[str, Granted]
    users: dict[str, Person]


class ProjectUsers(msgspec.Struct, frozen=True, kw_only=True):
    """The users of a project."""

    name: str
    users: dict[str, Person]
    deleted: bool


class GroupUsers(msgspec.Struct, frozen=True, kw_only=True):
    """The administrators of a group, and the users of its projects."""

    name: str
    users: dict[str, Person]
    projects: dict[str, ProjectUsers]


class HubUsers(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who has, or had, which role in a hub. Source: protocol 13."""

    users: dict[str, Person]
    groups: dict[str, GroupUsers]
    hub_id: str
    id: str


class Administered(ProjectUsers, frozen=True, kw_only=True):
    """The administrators of a group or hub, and its projects."""

    projects: Maybe[dict[str, Object]] = UNSET


class AdminsChanged(msgspec.Struct, frozen=True):
    """Who administers a group or hub now. Source: seed 001, `POST …/Groups/{group}/users`."""

    added: Administered


class MembersChanged(msgspec.Struct, frozen=True):
    """Who is a member of a project now. Source: seed 001, `POST …/Projects/{project}/users`."""

    added: ProjectUsers


class ProjectMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A project that was added, and what the shares come to; `priorityy` is how it is documented. Source: seed 001."""

    title: str
    creation_date: Date
    misspelt: Priority = msgspec.field(name="priorityy")
    priority: Priority
    name: str
    description: Maybe[str] = UNSET
    share: Percent
    shares: dict[str, Percent]


class GroupMade(ProjectMade, frozen=True, kw_only=True, rename="camel"):
    """A group that was added. Source: seed 001."""

    projects: dict[str, Any]


class Altered(shapes.Node, frozen=True, kw_only=True, rename="camel"):
    """A hub, group or project as it is now, and what the shares come to."""

    misspelt: Priority = msgspec.field(name="priorityy")
    priority: Priority
    share: Maybe[Percent] = UNSET
    shares: Maybe[dict[str, Percent]] = UNSET


class ShareChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The share of a hub, group or project before and after; null where it has none."""

    path: str
    share_before: Priority | None
    percent_before: Percent | None
    share_after: Priority | None
    percent_after: Percent | None


class NextChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The next job of a hub, group or project on a device: its place among all there, and when it should start."""

    path: str
    device: str
    waiting: Priority
    place_before: Priority | None
    place_after: Priority | None
    start_before: Date | None
    start_after: Date | None


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a change would do to the shares and the queue; nothing was saved. This server's own."""

    dry_run: bool
    shares: list[ShareChange]
    queue: list[NextChange]


class ChangeQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether nothing is to be saved, and only told what the change would do. This server's own."""

    dry_run: Maybe[Literal["true", "false"]] = UNSET


class ProjectDeleted(msgspec.Struct, frozen=True):
    """The project as it was. Source: seed 001."""

    deleted: Altered


class Sums(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What jobs used; times in milliseconds. Source: seed 001, `system-usage`."""

    jobs: Count
    executions: Count
    queue_time: Count
    run_time: Count
    average_run_time: Amount
    average_queue_time: Amount


class Row(Sums, frozen=True, kw_only=True, rename="camel"):
    """What the jobs of one group of jobs used; of names that were used again, the ids tell which is meant."""

    hub: Maybe[str] = UNSET
    group: Maybe[str] = UNSET
    project: Maybe[str] = UNSET
    deleted: Maybe[bool] = UNSET
    group_id: Maybe[str] = UNSET
    project_id: Maybe[str] = UNSET
    user_id: Maybe[str] = UNSET
    email: Maybe[str] = UNSET
    backend: Maybe[str] = UNSET
    day: Maybe[str] = UNSET


class Usage(msgspec.Struct, frozen=True):
    """What jobs used: one object, with `groupBy` a list."""

    data: Sums | list[Row]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs count, and in which form the numbers are wanted."""

    options: analytics.Options
    format: Maybe[Literal["json", "csv"]] = UNSET


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an administrator did; `before` and `after` are what of it changed."""

    number: Priority
    date: Date
    who: str
    act: str
    path: str
    before: Object | None
    after: Object | None


class ActsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many acts are wanted, and before which number."""

    limit: Maybe[Annotated[int, Meta(ge=1, le=1000)]] = UNSET
    before: Maybe[Priority] = UNSET
