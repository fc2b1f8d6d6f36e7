"""What the form's fields let one choose from, with what a draft holds beyond it: nothing that is there is hidden."""

from __future__ import annotations

from dataclasses import dataclass

from kiban.office import months
from kiban.office.calls.schemas import CallOut, Question
from kiban.plan.model.shape import ModelShape
from kiban.portal.i18n import Text, _
from kiban.portal.pages.proposals.places import name_of
from kiban.portal.web import page as pages
from kiban.portal.web.labels import label
from kiban.portal.web.views import formats

USUAL_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "vocab_size",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "tie_word_embeddings",
)
PERSONAL_DATA = ("none", "anonymised", "pseudonymised", "personal", "special_care")
PRECISIONS = ("bf16", "fp8", "fp32", "fp4")
RIGHTS: tuple[Text, ...] = (
    _("Own data"),
    _("Licensed by its owner"),
    _("Article 30-4 of the Copyright Act"),
    _("Public domain"),
    _("Open licence"),
)
Option = tuple[str, Text]


@dataclass(frozen=True)
class Choices:
    themes: list[Option]
    pools: list[tuple[str, Text, Text]]
    starts: list[Option]
    call_months: list[Option]
    methods: list[Option]
    precisions: list[Option]
    personal_data: list[Option]
    rights: tuple[Text, ...]

    def pools_with(self, chosen: list[str]) -> list[tuple[str, Text, Text]]:
        known = {value for value, _text, _hint in self.pools}
        return [*self.pools, *((each, _("Not offered by this call"), each) for each in chosen if each not in known)]

    def starts_with(self, chosen: list[str]) -> list[Option]:
        known = {value for value, _text in self.starts}
        return [*self.starts, *((each, f"{each} – {_('outside the call')}") for each in chosen if each not in known)]

    def month_with(self, chosen: str) -> list[Option]:
        known = {value for value, _text in self.call_months}
        return [*self.call_months, *([(chosen, chosen)] if chosen and chosen not in known else [])]

    def theme_with(self, chosen: str) -> list[Option]:
        known = {value for value, _text in self.themes}
        return [*self.themes, *([(chosen, chosen)] if chosen and chosen not in known else [])]

    @staticmethod
    def answers_with(question: Question, chosen: str) -> list[Option]:
        """The answers of a choice."""
        options: list[Option] = [(each, each) for each in question.choices]
        return [*options, *([(chosen, chosen)] if chosen and chosen not in question.choices else [])]

    @staticmethod
    def further_sizes(shown: list[str]) -> list[str]:
        """Of a model's shape, what neither the usual fields nor `shown` have."""
        return [name for name in ModelShape.model_fields if name not in USUAL_SIZES and name not in shown]

    @staticmethod
    def asked_when(question: Question) -> Text:
        """When a question is asked, in words; empty: always."""
        if question.when is None:
            return ""
        if question.when.equals is True:
            return _("Only where “%(field)s” applies.", field=name_of(question.when.path))
        return _("Only where “%(field)s” is %(value)s.", field=name_of(question.when.path), value=question.when.equals)


def choices_for(call: CallOut) -> Choices:
    page = pages.current()
    is_japanese = page.language == "ja"
    fmt = formats(page.language, page.preferences.era)
    run = months.month_range(call.first_month, call.months)
    return Choices(
        themes=[(each.key, each.name_ja if is_japanese else each.name_en) for each in call.themes],
        pools=[
            (
                str(each.pool_id),
                f"{each.name} ({each.accelerator})",
                _("%(site)s; up to %(gpus)s GPUs", site=each.site, gpus=f"{each.gpus:,}"),
            )
            for each in call.pools
        ],
        starts=[(month, fmt.text.month(month)) for month in run],
        call_months=[(month, fmt.text.month(month)) for month in run],
        methods=[
            ("", _("From scratch")),
            ("full", _("On from an existing model, all parameters")),
            ("lora", _("On from an existing model, adapters only (LoRA)")),
        ],
        precisions=[(each, each) for each in PRECISIONS],
        personal_data=[(each, label(each, "personal_data")) for each in PERSONAL_DATA],
        rights=RIGHTS,
    )
