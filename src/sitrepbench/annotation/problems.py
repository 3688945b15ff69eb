"""What can be wrong with annotations, and what to do about each."""

from __future__ import annotations

from types import MappingProxyType

from sitrepbench.data.problems import REMEDIES_WITHOUT_OPTIONS

#: Every code and what to do about it; those of data tables keep theirs where nothing else is said.
REMEDIES = MappingProxyType(
    {
        **REMEDIES_WITHOUT_OPTIONS,
        "missing_column": "name the columns as docs/annotation.md lists them",
        "long_text": "a row is one sentence: split it (articles: `sitrepbench data segment`)",
        "empty_file": "give a file with at least one sentence",
        "invalid_json": "give the file as Label Studio exported it: Export > JSON or JSON-MIN",
        "not_an_export": "export from Label Studio with Export > JSON or JSON-MIN; other tools' "
        "files are not read",
        "missing_id": "label tasks that `sitrepbench annotation export` made: they carry the ids",
        "unknown_label": "give the label set with --labels A,B,C, or correct the file",
        "bad_answer": "use the configuration that `sitrepbench annotation config` writes",
        "missing_label": "choose a label in Label Studio, or skip the task",
        "missing_annotator": "name who labelled it",
        "doubled_annotation": "delete one of the two: nobody labels a sentence twice",
        "conflicting_task": "delete the task that is wrong, or give the sentence another id",
        "conflicting_rows": "give all rows of a sentence the same document, position and text",
        "unknown_status": "write labelled, skipped or open",
    }
)
_EXPORT = "`sitrepbench annotation export` also takes --encoding NAME"
#: The same for tables of sentences, which may have another encoding on their way out.
SENTENCE_REMEDIES = MappingProxyType(
    {
        **REMEDIES,
        "byte_order_mark": f"save the file as UTF-8 without the mark; {_EXPORT}",
        "invalid_utf8": f"save the file as UTF-8; {_EXPORT}, such as cp1252",
        "invalid_encoding": f"save the file as UTF-8; {_EXPORT}",
    }
)
