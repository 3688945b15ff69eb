"""The methodology linter: coded questions about runs that are compared, and their answers.

`sitrepbench.checks.registry` lists the checks; each is a pure function of a `Material`.
`gathering` and `refitting` bring the material together, and are the only ones that read a store.
"""
