"""What every provider has to obey, whatever its vendor says: one function for each law.

A law tries a :class:`~stage3_plugin.testing.subject.Subject` and raises ``AssertionError`` with a
sentence where it is broken; it returns how much it has tried, and 0 where the provider has nothing
that it is about. Under pytest they are parametrised over ``LAWS``; without it
``python -m stage3_plugin.testing`` runs them. Nothing is asked but answers that are made up here,
those that were recorded, and a server on this machine.

The one rule behind them: money is believed to be free only where the vendor's own whole answer
says so. Everything else may have been billed, and nothing else settles a job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from stage3_plugin.testing.laws import answers, batches, queues, requests
from stage3_plugin.testing.subject import Subject

Law: TypeAlias = Callable[[Subject], int]

LAWS: tuple[Law, ...] = (
    requests.begin_has_no_side_effects_and_sends_no_key,
    requests.a_token_is_sent_where_it_will_be_listed,
    requests.free_checks_stay_with_the_api,
    answers.recorded_answers_mean_what_they_meant,
    answers.an_answer_that_is_cut_proves_nothing,
    answers.no_status_alone_brings_a_picture_or_a_refusal,
    answers.hostile_values_harm_nothing,
    answers.keys_are_not_repeated,
    queues.an_unknown_state_ends_nothing_and_is_shown,
    queues.a_job_is_made_fetched_and_billed_once,
    queues.a_look_that_fails_changes_nothing,
    queues.an_answer_about_another_job_changes_nothing,
    queues.a_queue_that_lies_is_not_believed,
    queues.a_lost_answer_is_found_by_its_token,
    queues.a_bad_key_is_reported_as_such,
    batches.a_line_is_pure_and_json_without_the_key,
    batches.a_batch_is_asked_for_where_the_settings_say,
    batches.a_create_says_which_batch_it_is,
    batches.an_unknown_state_of_a_batch_is_shown,
)
