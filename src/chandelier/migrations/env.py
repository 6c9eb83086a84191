# SPDX-License-Identifier: Apache-2.0
"""Run by Alembic: migrate on the connection that `migrations.upgrade` passes in."""

from alembic import context

from chandelier import migrations

context.configure(connection=context.config.attributes["connection"], target_metadata=migrations.metadata)
context.run_migrations()
