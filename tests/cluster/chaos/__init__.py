# SPDX-License-Identifier: Apache-2.0
"""A cluster of real processes on hosts of its own, mail going in and out, faults by chance, and the judgement of everything that was
acknowledged. tests/cluster/chaos.py runs it."""
