# SPDX-License-Identifier: Apache-2.0
"""A status poll as it is usually written: a token and a job loaded by an ORM, FastAPI, an answer by Pydantic."""

import hashlib
import os
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The tables."""


class Token(Base):
    """Who holds a token."""

    __tablename__ = "tokens"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str]


class Job(Base):
    """A job and its state."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str]
    status: Mapped[str]
    created: Mapped[str]
    backend: Mapped[str]


class Status(BaseModel):
    """What is answered."""

    id: str
    status: str
    creationDate: str  # noqa: N815  # as it is on the wire
    backend: dict[str, str]


engine = create_engine(f"sqlite:///{os.environ['PEER_DATABASE']}")  # noqa: TID251  # the server passes nothing else on
Base.metadata.create_all(engine)
with Session(engine) as session:
    digest = hashlib.sha256(b"token").hexdigest()
    session.merge(Token(digest=digest, user="ann"))
    session.merge(Job(id="job", user="ann", status="COMPLETED", created="2026-01-01T00:00:00.000Z", backend="device"))
    session.commit()

app = FastAPI()


def opened() -> Iterator[Session]:
    """Yield a session for one request."""
    with Session(engine) as session:
        yield session


Opened = Annotated[Session, Depends(opened)]


def user(session: Opened, x_access_token: Annotated[str, Header()]) -> str:
    """Return who is asking."""
    token = session.get(Token, hashlib.sha256(x_access_token.encode()).hexdigest())
    if token is None:
        raise HTTPException(401)
    return token.user


@app.get("/api/Jobs/{job_id}/status/v/1")
def status(job_id: str, session: Opened, who: Annotated[str, Depends(user)]) -> Status:
    """Return a job's state."""
    job = session.get(Job, job_id)
    if job is None or job.user != who:
        raise HTTPException(404)
    return Status(id=job.id, status=job.status, creationDate=job.created, backend={"id": "1", "name": job.backend})
