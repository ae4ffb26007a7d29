"""Do notebooks still give what they show? nbval runs them, in a copy of the project and with warm kernels.

`trial` makes the copy, `checks` sends notebooks to workers, `worker` runs one through nbval as `nbval_plugin` bends it,
`comparison` and `tables` say what differs, `report` how it is told, `acceptance` keeps new outputs.
"""
