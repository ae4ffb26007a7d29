"""Lineage: what each step read and wrote, as OpenLineage events (https://openlineage.io).

The runner tells a process beside it what happens (`follower`); that process makes events of it (`events`, `columns`)
and sends them (`sender`, `transport`). It ends after the run, also when the runner is killed, and then says so.
"""
