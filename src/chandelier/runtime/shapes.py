# SPDX-License-Identifier: Apache-2.0
"""What requests and errors of the Runtime API look like, for its description.

Source: protocol of the Runtime API 2 to 5.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class Failure(msgspec.Struct, frozen=True):
    """Why a request cannot be served, and the code of that."""

    code: int
    message: str


class Envelope(msgspec.Struct, frozen=True):
    """The answer to a request that cannot be served: as clients look for it, and as the service itself words it."""

    error: Failure
    errors: list[Failure]


class LoginFailure(msgspec.Struct, frozen=True):
    """Why no token is given, and the code of that."""

    code: str
    message: str


class LoginEnvelope(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to who gets no token."""

    error_code: str
    error_message: str
    errors: list[LoginFailure]


class Login(msgspec.Struct, frozen=True):
    """An API token, to be exchanged."""

    apikey: str
    grant_type: Literal["urn:ibm:params:oauth:grant-type:apikey"] | UnsetType = UNSET
    response_type: str | UnsetType = UNSET


class DevicesQuery(msgspec.Struct, frozen=True):
    """Of the list of devices.

    Attributes:
        provider: The instance as hub/group/project, for clients that send no header.
    """

    provider: str | UnsetType = UNSET


class ConfigurationQuery(msgspec.Struct, frozen=True):
    """Of a configuration."""

    calibration_id: str | UnsetType = UNSET


class PropertiesQuery(msgspec.Struct, frozen=True):
    """Of properties."""

    updated_before: str | UnsetType = UNSET
    calibration_id: str | UnsetType = UNSET


class JobsQuery(msgspec.Struct, frozen=True):
    """Of the list of jobs."""

    limit: int | UnsetType = UNSET
    offset: int | UnsetType = UNSET
    sort: str | UnsetType = UNSET
    pending: str | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    program: str | UnsetType = UNSET
    session_id: str | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    created_after: str | UnsetType = UNSET
    created_before: str | UnsetType = UNSET
    exclude_params: str | UnsetType = UNSET


class JobQuery(msgspec.Struct, frozen=True):
    """Of a job."""

    exclude_params: str | UnsetType = UNSET


class SearchQuery(msgspec.Struct, frozen=True):
    """Of a search."""

    limit: str | UnsetType = UNSET
    search_cursor: str | UnsetType = UNSET


class ResourcesQuery(msgspec.Struct, frozen=True):
    """Of the list of instances of a name."""

    name: str | UnsetType = UNSET
