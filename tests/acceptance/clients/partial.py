# SPDX-License-Identifier: Apache-2.0
"""Look at a job of which one experiment failed; its id is an argument."""

import sys

from account import attempt, enable, report

provider = enable()
job = provider.backend.retrieve_job(sys.argv[3])
partial = job.result(partial=True)
report(
    provider,
    status=job.status().name,
    message=job.error_message(),
    whole=attempt(job.result),
    success=[experiment.success for experiment in partial.results],
    good=partial.get_counts("good"),
    bad=attempt(partial.get_counts, "bad"),
)
