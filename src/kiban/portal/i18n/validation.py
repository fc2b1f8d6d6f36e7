"""What is wrong with a field, in words for people: by the types of errors that pydantic knows and our schemas produce.

The types are those of https://docs.pydantic.dev/latest/errors/validation_errors/; `{…}` are values of their `ctx`.
"""

from __future__ import annotations

_MISSING = "This is needed."
_TEXT = "Write this as text."
_WHOLE = "Write a whole number."
_NUMBER = "Write a number."
_YES_NO = "Choose yes or no."
_DATE = "Write a date, for example 2026-11-22."
_TIME = "Write a date and time, for example 2026-11-22 17:00."
_ID = "This is not an identifier of this programme."
_LIST = "This must be a list."
_FIELDS = "This must consist of fields with values."
_FILE = "Send this as a file."
_UNKNOWN = "There is no such field."
_CHOICE = "Choose one of: {expected}."
_URL = "Write a URL, for example https://example.jp/."

ENGLISH: dict[str, str] = {
    "missing": _MISSING,
    "none_required": "Leave this empty.",
    "extra_forbidden": _UNKNOWN,
    "invalid_key": _UNKNOWN,
    # texts
    "string_type": _TEXT,
    "string_unicode": "This text holds characters that cannot be read.",
    "string_too_short": "Write at least {min_length} characters.",
    "string_too_long": "Write {max_length} characters at most.",
    "string_pattern_mismatch": "This is not written as it must be.",
    "string_not_ascii": "Write this in ASCII characters only.",
    # numbers
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "The number has too many digits.",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "Write a finite number.",
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "decimal_max_digits": "Write {max_digits} digits at most.",
    "decimal_max_places": "Write {decimal_places} decimal places at most.",
    "decimal_whole_digits": "Write {whole_digits} digits at most before the decimal point.",
    "greater_than": "Write a number above {gt}.",
    "greater_than_equal": "Write a number of {ge} or more.",
    "less_than": "Write a number below {lt}.",
    "less_than_equal": "Write a number of {le} or less.",
    "multiple_of": "Write a multiple of {multiple_of}.",
    # choices
    "bool_type": _YES_NO,
    "bool_parsing": _YES_NO,
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "union_tag_invalid": "Choose one of: {expected_tags}.",
    "union_tag_not_found": _MISSING,
    # dates and times
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": "Write a date without a time.",
    "date_past": "Write a date that has passed.",
    "date_future": "Write a date to come.",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_past": "Write a time that has passed.",
    "datetime_future": "Write a time to come.",
    "time_type": "Write a time, for example 17:00.",
    "time_parsing": "Write a time, for example 17:00.",
    "timezone_aware": "The time needs its time zone.",
    "timezone_naive": "Write the time without a time zone.",
    # identifiers and addresses
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "uuid_version": _ID,
    "url_type": _URL,
    "url_parsing": _URL,
    "url_syntax_violation": _URL,
    "url_too_long": "Write {max_length} characters at most.",
    "url_scheme": "The URL must start with one of: {expected_schemes}.",
    # lists and parts
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "set_item_not_hashable": _LIST,
    "iterable_type": _LIST,
    "too_short": "At least {min_length} are needed; there are {actual_length}.",
    "too_long": "There can be {max_length} at most; there are {actual_length}.",
    "dict_type": _FIELDS,
    "mapping_type": _FIELDS,
    "model_type": _FIELDS,
    "model_attributes_type": _FIELDS,
    # files
    "bytes_type": _FILE,
    "bytes_too_short": "The file is empty or too small.",
    "bytes_too_long": "The file is too large.",
    "is_instance_of": _FILE,
    # JSON
    "json_invalid": "This is not JSON.",
    "json_type": "This is not JSON.",
}
