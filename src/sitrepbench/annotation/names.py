"""What the labelling configuration, the tasks and the tables call things, in one place."""

from __future__ import annotations

#: The controls of the labelling configuration; an export names each answer by its control.
LABEL_CONTROL = "label"
SECONDARY_CONTROL = "secondary"
CONTEXT_CONTROL = "needs_context"
COMMENT_CONTROL = "comment"
CONTROLS = (LABEL_CONTROL, SECONDARY_CONTROL, CONTEXT_CONTROL, COMMENT_CONTROL)
#: The object that is labelled.
TEXT_OBJECT = "text"
#: The one choice of `CONTEXT_CONTROL`.
CONTEXT_CHOICE = "yes"

#: Keys of a task's data beside those of a dataset. None is one that Label Studio's JSON_MIN
#: writes itself: it puts data, answers and its own keys side by side.
BEFORE = "before"
AFTER = "after"
FURTHER = "columns"

ANNOTATOR = "annotator"
STATUS = "status"
NEEDS_CONTEXT = "needs_context"
COMMENT = "comment"

#: What became of a sentence with an annotator: labelled, skipped, or given to nobody yet.
LABELLED = "labelled"
SKIPPED = "skipped"
OPEN = "open"
STATUSES = (LABELLED, SKIPPED, OPEN)

#: The columns of the long table, one row per sentence and annotator; a table's own come after.
SENTENCE_COLUMNS = ("sentence_id", "document_id", "position", "text")
ANSWER_COLUMNS = (ANNOTATOR, STATUS, "label", "secondary", NEEDS_CONTEXT, COMMENT)
LONG_COLUMNS = (*SENTENCE_COLUMNS, *ANSWER_COLUMNS)
