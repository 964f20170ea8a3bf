"""Which promise is held by which tests: the net, ``pytest -m promise``.

Each row is what is promised and the tests that hold it, below ``tests``: a file, or a test of it.
All of them go through doors (the command line, public names, the contract, servers on real
sockets, kills), so that they stay green in a house built anew; ``tests/rules/test_promises.py``
says what a door is, and that nothing which is promised is without a row. What was found once and
is not held any more stands in ``docs/design.md``, under "What is given up".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TypeAlias

Table: TypeAlias = Mapping[str, str]

PROMISES: Table = {
    # docs/costs-and-retries.md, "What is promised", by the words in bold type
    "No picture is paid for twice without a person's decision.": """
        killing/test_random_kills.py killing/test_failpoints.py
        killing/test_takes.py killing/test_queue_kills.py killing/test_batch_kills.py
        stage3/test_takes.py stage3/test_ladder_runs.py stage3/test_batch_runs.py
        stage3/test_batch_trouble.py
        stage3/providers/test_studio_runs.py stage3/test_lost.py
        stage3/test_two_runs.py test_confirmed_runs.py::test_many_at_once_pay_once
        test_confirmed_runs.py::test_what_was_given_up_is_not_paid_for_a_second_time
        test_confirmed_runs.py::test_a_bill_without_a_picture_is_not_paid_again_and_again
        test_director_end_to_end.py::test_a_reroll_said_by_two_at_once_pays_once
        library/test_page.py::test_two_consumers_with_one_message_at_once_pay_once""",
    "No cap is passed.": """
        stage3/test_caps.py hostile/test_bills.py::test_a_command_without_asserts_passes_no_cap
        stage3/test_references_refused.py::test_no_bill_is_above_its_hold
        stage3/test_ladder_runs.py::test_a_ladder_that_could_not_work_is_refused_before_anything_is_sent""",
    "No complete answer is lost.": """
        killing/test_failpoints.py hostile/test_stopped.py hostile/test_received.py
        hostile/test_limits.py::test_descriptors_that_others_use_up_meanwhile_lose_no_answer
        hostile/test_limits.py::test_results_of_a_batch_that_do_not_fit_are_taken_in_when_they_do
        stage3/test_disk.py""",
    "What is there is free.": """
        test_money_commands.py::test_a_rerun_costs_nothing_and_tells_so
        test_director_end_to_end.py::test_everything_comes_back_after_out_is_deleted
        test_director_end_to_end.py::test_a_pick_whose_picture_is_lost_gives_way_and_stays_so
        library/test_open_stage.py::test_what_is_there_costs_nothing_and_a_plan_says_so""",
}

CAPS: Table = {
    "`budget_usd`": "stage3/test_caps.py::test_a_budget_is_a_run_s_and_a_total_is_the_ledger_s",
    "`--max-cost USD`": "test_money_commands.py::test_a_run_can_be_given_a_cap_of_its_own",
    "`daily_usd`": "stage3/test_caps.py::test_a_day_s_cap_begins_anew_the_next_day",
    "`total_usd`": "test_money_commands.py::test_a_cap_that_is_reached_ends_with_3",
}

SENT_AGAIN: Table = {
    # the table "What is sent again", by the beginnings of its rows
    "nothing was sent": "stage3/test_unknown.py::test_requests_that_never_left_are_not_unknown",
    "the request was cut off": """
        hostile/test_around_an_answer.py::test_a_cut_page_in_mid_upload_is_free
        killing/test_kills_under_load.py::test_who_dies_before_the_whole_request_has_left_leaves_nothing_to_decide
        killing/test_kills_under_load.py::test_who_dies_with_the_machine_is_asked_about""",
    "bought, and the picture's address": """
        hostile/test_addresses_down.py::test_a_picture_that_stays_away_is_pending_and_the_next_run_has_it""",
    "turned away": """
        hostile/test_limiter.py::test_a_wait_that_one_rejection_names_is_no_other_scenes
        hostile/test_limiter.py::test_rejections_by_chance_leave_the_capacity_as_it_is""",
    "an error that can pass": """
        test_busy_vendors.py stage3/test_outcomes.py::test_a_row_of_the_outcome_table""",
    "an answer without a usable picture": """
        stage3/test_ladder_runs.py::test_a_picture_refused_for_what_came_out_is_drawn_anew_if_nobody_set_a_seed""",
    "a whole answer that is not understood": """
        hostile/test_received.py::test_what_cannot_be_read_blocks_its_scene_and_is_kept""",
    "no usable picture, but billed": """
        stage3/test_takes.py::test_a_take_that_fails_keeps_no_other_from_being_made""",
    "refused by the provider's policy": """
        stage3/test_caps.py::test_what_was_not_billed_makes_room_again""",
    "sent as a whole": "stage3/test_unknown.py hostile/test_answers.py",
}

IN_A_ROW: Table = {
    "five requests without any answer": """
        test_money_commands.py::test_five_requests_without_an_answer_end_with_3
        stage3/test_unknown.py::test_five_in_a_row_stop_the_run""",
    "five that were paid for": """
        hostile/test_in_a_row.py::test_five_pictures_in_a_row_paid_for_nothing_stop_the_run""",
    "five pictures that were bought": """
        hostile/test_addresses_down.py::test_five_pictures_in_a_row_that_cannot_be_had_stop_the_run""",
    "five rejected scenes": """
        hostile/test_in_a_row.py::test_words_about_the_single_scene_stop_nothing
        hostile/test_answers.py::test_what_a_gateway_says_of_every_scene_stops_the_run""",
    "five requests that could not be sent": """
        hostile/test_in_a_row.py::test_without_a_connection_the_run_stops_and_names_the_cause_once""",
}

WHEN_SOMETHING_BREAKS: Table = {
    "the first Ctrl-C": "test_signals.py",
    "the second": "test_signals.py::test_the_second_signal_leaves_at_once",
    "`kill -9`": """
        killing/test_random_kills.py
        library/test_programs.py::test_what_a_killed_program_had_an_answer_for_is_taken_in""",
    "a power cut": """
        hostile/test_received.py::test_the_name_of_a_new_state_folder_is_on_the_disk_before_a_request
        killing/test_failpoints.py::test_a_purchase_goes_its_steps_in_order""",
    "two runs on one project": """
        stage3/test_two_runs.py
        library/test_blocking.py::test_two_calls_with_one_folder_take_no_copy_of_the_other_for_left""",
    "a run with another provider": """
        stage3/test_jobs.py::test_a_run_that_draws_leaves_a_job_for_a_day_after_its_time""",
    "the disk fills up": "stage3/test_disk.py",
    "there are too few descriptors": """
        hostile/test_limits.py::test_nothing_is_lost_where_descriptors_are_few""",
    "an answer ends the process that reads it": "hostile/test_deadly_answers.py",
    "no memory or no thread": """
        hostile/test_limits.py::test_a_thread_that_cannot_be_started_loses_nothing
        hostile/test_unreadable.py""",
    "the ledger cannot be opened": "hostile/test_readonly.py hostile/test_identity.py",
    "the ledger cannot be written": """
        stage3/test_disk.py::test_a_disk_that_really_fills_up_while_answers_come
        hostile/test_identity.py::test_nothing_is_sent_once_the_ledger_is_not_where_it_was""",
}

EXIT_CODES: Table = {
    "0": "test_end_to_end.py::test_a_story_against_a_paid_api_leaves_pictures_and_a_manifest",
    "1": "test_end_to_end.py::test_failures_are_values_and_set_the_exit_code",
    "2": "test_money_commands.py::test_a_cap_without_a_price_ends_with_2",
    "3": "test_end_to_end.py::test_a_dead_key_stops_the_run_with_3 test_money_commands.py",
    "4": "test_money_commands.py::test_an_unknown_outcome_from_first_to_last",
    "5": """
        hostile/test_signals_in_recovery.py::test_what_is_pending_ends_with_its_own_exit_code
        test_jobs_end_to_end.py::test_jobs_survive_a_deadline_and_two_ctrl_cs""",
    "129": "test_signals.py::test_the_first_signal_starts_nothing_and_loses_nothing",
    "130": "test_end_to_end.py::test_the_first_interrupt_lets_paid_pictures_end",
    "143": "test_signals.py::test_the_first_signal_starts_nothing_and_loses_nothing",
}

STATES: Table = {
    "SENDING": """
        hostile/test_signals_in_recovery.py
        hostile/test_deciding.py::test_a_picture_that_is_bought_and_not_here_from_first_to_last""",
    "ACCEPTED": "stage3/test_jobs.py stage3/providers/test_bought_at_queues.py",
    "UNKNOWN": """
        stage3/test_unknown.py
        stage3/test_lost.py::test_nobody_calls_a_lost_request_unbilled_while_it_may_be_listed_yet""",
    "PAID": "test_end_to_end.py::test_a_story_against_a_paid_api_leaves_pictures_and_a_manifest",
    "PAID_BAD": """
        stage3/test_ladder_runs.py::test_a_billed_refusal_leads_on_where_the_settings_say_so_and_never_to_its_own_route
        hostile/test_bills.py::test_a_picture_that_never_came_has_a_bill_to_be_put_right_too""",
    "REFUSED": """
        stage3/test_caps.py::test_what_was_not_billed_makes_room_again
        stage3/test_unknown.py::test_a_decision_lets_the_scene_be_made""",
    "VOID": """
        stage3/test_unknown.py::test_requests_that_never_left_are_not_unknown
        stage3/test_ladder_runs.py::test_what_is_true_of_all_scenes_closes_a_route_and_not_the_run""",
    "WROTE_OFF": """
        stage3/test_unknown.py::test_resend_sends_once_more_in_the_same_run
        stage3/test_unknown.py::test_resend_never_sends_a_third_time""",
}

OTHER_PAGES: Table = {
    # what other pages promise, in their words
    "takes.md: as often as there is something to take back": """
        test_director_end_to_end.py::test_a_take_is_shown_at_once_for_nothing_and_taken_back""",
    "takes.md: takes that came since do not matter": """
        host/decisions/test_commands.py::test_takes_that_came_since_stay_as_another_said""",
    "takes.md: in one scene the later decision counts": """
        host/decisions/test_commands.py::test_several_reviewers_are_merged_and_the_one_left_out_is_named""",
    "command-line.md: --limit takes the first, --scene the named": """
        host/test_cli.py::test_a_part_of_the_story_can_be_made""",
    "takes.md: what is in seen and not in this list is not rejected any more": """
        host/decisions/test_commands.py::test_what_a_decision_does_not_reject_is_as_the_page_says""",
    "takes.md: a refused decision is refused by name, all others are obeyed": """
        host/decisions/test_commands.py::test_a_part_of_a_story_obeys_decisions_about_all_of_it
        host/decisions/test_commands.py::test_what_is_stale_is_refused_by_name_and_the_rest_is_done""",
    "agents.md: whatever is another is refused": """
        test_confirmed_runs.py::test_a_file_that_is_shown_beside_an_awaited_picture_is_held_to_its_bytes
        test_confirmed_runs.py::test_whatever_changes_is_refused_before_anything_is_sent""",
    "command-line.md: drafts count for nothing": """
        host/test_story_commands.py::test_a_manifest_says_of_every_scene_what_the_status_says""",
    "command-line.md: review, its takes stand side by side": """
        host/test_story_commands.py::test_a_page_is_told_of_every_take_what_takes_says""",
    "command-line.md: one that names no run goes to runs/earlier/": """
        host/test_cli.py::test_no_record_that_names_no_run_takes_the_place_of_another""",
    "configuration.md: --out comes before out_dir, and the journal goes along": """
        host/test_cli.py::test_results_and_journal_lie_where_the_command_line_says_else_the_config""",
    "configuration.md: of a further route, instead of the setting": """
        stage3/test_ladder_runs.py::test_what_a_route_says_itself_of_a_billed_refusal_goes_before_the_setting
        stage3/test_ladder_runs.py::test_what_a_route_says_itself_goes_before_the_setting_there_and_nowhere_else""",
    "configuration.md: relative paths start at the config's folder": """
        test_looking.py::test_a_file_that_holds_a_key_is_looked_for_where_the_config_lies
        test_looking.py::test_a_folder_that_is_typed_begins_where_it_is_typed""",
    "configuration.md: a run asks once more for a key that is not taken": """
        stage3/test_renewing.py::test_all_that_left_with_a_key_that_has_run_out_are_sent_with_the_next""",
    "configuration.md: HTTPS_PROXY, with a login": """
        hostile/test_proxies.py::test_a_run_logs_in_at_a_proxy_with_the_password_that_its_address_spells""",
    "api.md: file references start at the scene file's folder": """
        library/test_blocking.py::test_files_that_scenes_show_lie_beside_their_scene_file""",
    "half-price.md: the same line comes twice": """
        stage3/test_batch_trouble.py::test_of_two_lines_with_one_key_the_one_counts_that_may_have_been_billed""",
    "takes.md: two commands on one story at once are safe": """
        test_director_end_to_end.py::test_two_commands_at_once_leave_the_file_that_the_story_shows""",
    "takes.md: --takes, reroll and decisions still do": """
        test_director_end_to_end.py::test_ones_own_picture_is_current""",
    "command-line.md: rows are what this run did, and add up to it": """
        test_director_end_to_end.py::test_a_row_of_what_a_run_left_alone_says_that_it_did_nothing_for_it""",
    "command-line.md: --for 0s asks once": """
        test_batches_by_programs.py::test_a_wait_for_no_time_asks_once_and_takes_in_what_is_done""",
    "command-line.md: --not-billed is refused while it may be listed": """
        hostile/test_deciding.py::test_what_a_killed_run_has_just_sent_is_not_called_unbilled""",
    "library.md: at_once gives up what is in flight": """
        library/test_leaving.py::test_a_switch_that_is_set_again_may_give_up_what_is_in_flight""",
    "costs-and-retries.md: --billed can be taken back": """
        stage3/test_every_state.py::test_the_total_is_the_sum_after_any_two_decisions_about_any_purchase""",
    "spending.md: what is known to have been spent": """
        stage3/test_every_state.py::test_a_file_of_costs_keeps_what_is_known_what_is_not_and_what_is_in_work_apart""",
    "spending.md: the day, in UTC": """
        stage3/caretaking/test_costs.py::test_a_day_in_the_file_lasts_until_the_next_one_begins""",
    "buckets.md: paid once both have it": """
        stage3/test_other_store.py::test_a_store_beside_that_goes_away_stops_the_run_and_loses_nothing""",
    "buckets.md: only where neither has the picture it is called lost": """
        test_pictures_gone.py::test_a_picture_that_the_state_folder_lacks_comes_from_its_copy""",
    "telemetry.md: unknown, pending and cancelled may have been billed": """
        host/test_telemetry.py::test_what_may_have_been_billed_is_told_by_its_own_name""",
}

FIRST_FINDINGS: Table = {
    # Money and paid pictures, on the first house
    "M1 a recovery destroys a stored picture": """
        killing/test_answers_kept.py::test_a_stored_picture_survives_whatever_its_address_says_later
        hostile/test_received.py::test_no_received_or_stored_file_is_opened_to_be_written_twice""",
    "M2 one odd paid answer blocks every later run": """
        hostile/test_answers.py::test_an_address_that_cannot_be_one_harms_no_other_scene
        hostile/test_received.py::test_what_cannot_be_read_blocks_its_scene_and_is_kept""",
    "M3 timeouts told in JSON are sent again": """
        hostile/test_answers.py::test_a_failure_that_may_have_been_billed_is_sent_once""",
    "M4 answers in the socket are thrown away": "hostile/test_stopped.py",
    "M5 an address that is down loses the picture": "hostile/test_addresses_down.py",
    "M6 what a recovery finds bad is bought again": """
        killing/test_answers_kept.py::test_what_a_recovery_finds_billed_for_nothing_is_not_bought_by_it""",
    "M7 caps under python -O": """
        hostile/test_bills.py::test_a_command_without_asserts_passes_no_cap""",
    "M8 faults before the first byte": """
        hostile/test_wire.py::test_a_lone_surrogate_leaves_nothing_held
        hostile/test_in_a_row.py::test_an_address_that_cannot_be_asked_leaves_nothing_of_unknown_outcome""",
    "M9 scene ids that no file can have": """
        hostile/test_in_a_row.py::test_the_original_service_refuses_a_name_that_no_file_can_have""",
    "M10 one absurd bill": "hostile/test_bills.py",
    "M11 legal but odd answers": """
        hostile/test_received.py::test_a_picture_that_can_be_read_is_delivered
        hostile/test_answers.py::test_a_paid_picture_is_not_lost_to_what_stands_beside_it""",
    "M12 a clock in the future": "hostile/test_days.py",
    "M13 what the key holds": "test_found_again.py",
    # Standing still
    "S1 texts that stall the loop": "hostile/test_worst_answers.py",
    "S2 a recovery that hears no signal": "hostile/test_signals_in_recovery.py",
    "S3 a gate that waits for hours": """
        hostile/test_limiter.py::test_a_wait_that_one_rejection_names_is_no_other_scenes""",
    "S4 sporadic 429s": """
        hostile/test_limiter.py::test_rejections_by_chance_leave_the_capacity_as_it_is""",
    "S5 a gate that waits for nobody": """
        hostile/test_limiter.py::test_the_run_is_over_with_its_last_picture_though_nothing_is_left_for_a_minute""",
    "S6 no connection at all": """
        hostile/test_in_a_row.py::test_without_a_connection_the_run_stops_and_names_the_cause_once
        hostile/test_limiter.py::test_no_scene_is_started_while_many_wait_for_their_next_try""",
    "S7 a name server that does not answer": """
        hostile/test_names.py::test_a_process_ends_with_its_run_though_a_name_is_still_looked_up""",
    "S8 looking takes a dead owner's lock": "stage3/test_two_runs.py",
    # Memory
    "R1 documents of many values": """
        hostile/test_documents.py::test_eight_hostile_answers_in_flight_take_little_memory""",
    "R2 bytes behind a gzip stream": """
        hostile/test_documents.py::test_bytes_behind_a_compressed_answer_pile_up_nowhere""",
    # Secrets and the network
    "N1 keys that a provider quotes": """
        test_end_to_end.py::test_the_key_is_nowhere hostile/test_places.py
        hostile/test_secrets.py::test_what_was_paid_arrives_though_it_holds_the_key
        stage3/test_renewing.py::test_a_command_is_asked_twice_at_most_and_neither_key_is_written""",
    "N2 picture hosts with private addresses": "hostile/test_picture_hosts.py",
    "N3 signed addresses in the manifest": "hostile/test_manifest_secrets.py",
    "N4 figures that only Python reads": """
        hostile/test_limiter.py::test_a_wait_in_a_figure_that_only_python_reads_is_none""",
    "N5 a new state folder": """
        hostile/test_received.py::test_a_state_folder_that_was_there_shows_nothing_to_others""",
    # A stranger's first hour
    "stranger 1 a failure without its traceback": """
        hostile/test_stranger.py::test_debug_shows_where_a_plugin_failed
        hostile/test_stranger.py::test_a_task_group_is_told_by_what_it_holds""",
    "stranger 2 references dropped without a word": """
        host/test_cast.py::test_a_missing_file_is_said_before_money_and_keeps_back_its_scene_alone
        stage3/test_ladder_runs.py::test_a_route_that_takes_no_references_is_sent_none_and_the_plan_says_so""",
    "stranger 3 a part of a story": """
        test_end_to_end.py::test_a_part_of_a_story_looks_like_the_whole
        test_director_end_to_end.py::test_these_twelve_again_and_keep_the_rest""",
    "stranger 4 another plugin overwrites": """
        test_end_to_end.py::test_swapping_the_plugin_is_one_word
        hostile/test_pictures_beside.py::test_another_plugin_replaces_nothing""",
    "stranger 5 misspelt fields": """
        hostile/test_stranger.py::test_a_misspelt_scene_field_is_refused_by_name
        hostile/test_stranger.py::test_a_misspelt_table_does_not_run_the_defaults""",
    "stranger 6 a model without a price": """
        test_money_commands.py::test_a_cap_without_a_price_ends_with_2""",
    "stranger 7 what a run says of itself": """
        host/test_transcript.py
        hostile/test_told.py::test_why_a_run_stopped_is_said_once""",
    "stranger 8 many unknowns, and a wrong key": """
        hostile/test_deciding.py::test_many_are_shown_first_and_decided_with_yes
        hostile/test_deciding.py::test_since_is_when_a_request_was_sent_and_not_when_it_was_called_lost
        test_check_online.py::test_a_key_that_is_refused_ends_the_command""",
    "stranger 9 what init draws": "host/test_cli.py::test_a_new_project_runs_at_once",
    "stranger 10 pages as a browser shows them": """
        library/test_page.py::test_what_examples_call_is_there""",
    "stranger 11 names in any script": """
        hostile/test_words.py::test_letters_of_any_script_are_shown_as_they_are""",
    "stranger 12 files of runs, bare commands": """
        hostile/test_stranger.py::test_the_program_alone_says_what_may_come_next
        hostile/test_stranger.py::test_a_new_project_keeps_results_and_money_out_of_a_repository
        hostile/test_stranger.py::test_scenes_may_come_from_standard_input""",
    "stranger 13 a server to try things with": "test_your_own_server.py",
    "stranger 14 a quick lane": "rules/test_promises.py",
    "stranger 15 the README's commands": "rules/test_readme.py",
    # Disk, locks, processes, power
    "D1 a forked child": "hostile/test_forks.py",
    "D2 descriptors run out": """
        hostile/test_limits.py::test_nothing_is_lost_where_descriptors_are_few
        hostile/test_limits.py::test_a_request_that_has_no_room_is_sent_later
        hostile/test_limits.py::test_nothing_is_lost_on_a_disk_without_inodes""",
    "D3 an answer that cannot be read for a moment": """
        hostile/test_unreadable.py::test_an_answer_that_cannot_be_read_now_is_taken_in_later""",
    "D4 a picture that cannot be read for a moment": """
        hostile/test_unreadable.py::test_a_picture_that_cannot_be_read_now_is_not_called_lost""",
    "D5 a ledger that knows less than its folder": """
        hostile/test_identity.py::test_a_ledger_of_before_the_last_pictures_buys_nothing
        hostile/test_identity.py::test_a_log_that_is_lost_after_a_kill_is_noticed""",
    "D6 a ledger that goes under a living run": "hostile/test_identity.py",
    "D7 a lock file that somebody deletes": "hostile/test_owners_lost.py",
    "D8 code 2 after everything was bought": """
        hostile/test_streams_and_names.py::test_a_run_whose_output_is_lost_does_not_say_that_nothing_was_sent
        hostile/test_streams_and_names.py::test_a_disk_of_results_that_fills_up_keeps_no_word_back""",
    "D9 no stdout": "hostile/test_streams_and_names.py::test_a_run_needs_no_stream",
    "D10 a FIFO under a name of ours": """
        hostile/test_streams_and_names.py::test_what_is_no_file_under_a_name_of_ours_is_put_aside""",
    "D11 exceptions by their names": """
        hostile/test_unreadable.py::test_a_state_folder_below_one_that_may_not_be_searched_is_named
        hostile/test_unreadable.py::test_a_ledger_that_may_not_be_looked_at_is_named
        hostile/test_unreadable.py::test_a_current_folder_that_was_removed_is_named
        hostile/test_limits.py::test_a_thread_that_cannot_be_started_loses_nothing""",
    "D12 hints that lead astray": """
        hostile/test_readonly.py::test_a_picture_that_cannot_be_put_into_out_comes_with_a_next_step""",
    "D13 a disk that can only be read": """
        hostile/test_readonly.py::test_a_healthy_ledger_can_be_looked_at""",
    "D14 Ctrl-C while it is loaded": """
        hostile/test_interrupts.py::test_real_interrupts_at_the_start_of_a_real_run""",
    "D15 a copy that is just being made": "hostile/test_around_a_story.py",
    "D16 one bit in a ledger": """
        test_found_again.py::test_one_bit_of_a_ledger_buys_nothing""",
    "D17 results and ledger in one folder": """
        hostile/test_names_of_the_ledger.py::test_check_and_run_refuse_a_ledger_among_results""",
    "D18 one ledger under two names": """
        hostile/test_names_of_the_ledger.py::test_a_ledger_that_is_used_by_its_other_name_is_not_bought_by""",
    # Other people's servers and proxies
    "P1 LiteLLM's own failures": """
        hostile/test_answers.py::test_a_failure_that_may_have_been_billed_is_sent_once""",
    "P2 OpenRouter's 502 and 524": """
        hostile/test_answers.py::test_a_failure_that_may_have_been_billed_is_sent_once""",
    "P3 one request of ours is up to nine": """
        hostile/test_wire.py::test_headers_of_ones_own_go_with_paid_requests_alone""",
    "P4 the provider's name of the exchange": """
        hostile/test_deciding.py::test_what_the_provider_calls_an_exchange_is_kept_and_told
        hostile/test_answers.py::test_the_providers_name_of_an_exchange_is_in_the_ledger""",
    "P5 JSON that stops in the middle": """
        hostile/test_received.py::test_what_cannot_be_read_blocks_its_scene_and_is_kept""",
    "P6 a gateway's guess before one's own prices": """
        hostile/test_answers.py::test_a_persons_own_prices_come_before_a_gateways_guess""",
    "P7 a generic word beats a status": """
        hostile/test_answers.py::test_what_a_gateway_says_of_every_scene_stops_the_run""",
    "P8 what is wrong for every scene": """
        hostile/test_answers.py::test_what_a_gateway_says_of_every_scene_stops_the_run
        hostile/test_answers.py::test_an_address_that_has_moved_stops_the_run""",
    "P9 a policy's no": """
        stage3/test_references_refused.py::test_a_flagged_prompt_is_none""",
    "P10 nginx's limits are unknown": """
        hostile/test_answers.py::test_a_failure_that_may_have_been_billed_is_sent_once""",
    "P11 trouble with a proxy": "hostile/test_proxies.py::test_the_command_says_so_and_ends_with_2",
    "P12 a plain proxy's early answer": """
        hostile/test_around_an_answer.py::test_a_cut_page_in_mid_upload_is_free""",
    "P13 four troubles of a certificate": """
        hostile/test_certificates.py::test_a_run_stops_at_a_certificate_that_is_wrong_for_every_scene""",
    "P14 a header of one's own": """
        hostile/test_wire.py::test_headers_of_ones_own_go_with_paid_requests_alone
        hostile/test_addresses.py::test_values_of_headers_are_kept_like_the_key""",
    "P15 any quality and any size": """
        hostile/test_answers.py::test_check_and_plan_warn_of_what_the_vendor_will_not_take
        test_qualities.py::test_a_quality_that_a_model_does_not_have_is_refused""",
    "P16 a model that is gone": """
        test_check_online.py::test_a_model_that_has_ended_is_said_offline_with_its_successor""",
}

SECOND_FINDINGS: Table = {
    "W1 a batch whose page answers 404": """
        test_batches_by_programs.py::test_a_batch_that_is_said_not_to_be_known_is_in_doubt_after_an_hour_and_then_at_once
        test_batches_by_programs.py::test_a_batch_that_was_known_in_between_has_its_hour_once_more""",
    "W2 the same batch comes back": """
        test_batches_by_programs.py::test_a_batch_that_comes_back_is_being_made_and_is_not_offered_to_be_sent_again""",
    "W3 Google's words for busy": "test_busy_vendors.py",
    "W4 a blocked prompt": """
        test_busy_vendors.py::test_a_blocked_prompt_costs_the_tokens_that_its_answer_counts""",
    "W5 a server that wants a certificate": "hostile/test_tls_alerts.py",
    "W6 a whole page after half of an upload": """
        hostile/test_around_an_answer.py::test_a_whole_page_in_mid_upload_is_free
        hostile/test_around_an_answer.py::test_a_page_in_mid_upload_is_no_reason_to_give_up""",
    "W7 an address that leads out of the web": """
        hostile/test_around_an_answer.py::test_an_address_that_leads_out_of_the_web_is_asked_again""",
    "W8 a line behind whole JSON": """
        hostile/test_around_an_answer.py::test_a_line_behind_a_long_answer_is_left_out
        hostile/test_around_an_answer.py::test_a_line_behind_a_short_answer_is_left_out""",
    "W9 a rate in a window": """
        hostile/test_limiter.py::test_a_wait_that_one_rejection_names_is_no_other_scenes
        hostile/test_limiter.py::test_all_places_are_used_when_nothing_is_turned_away""",
    "V1 two clocks disagree": """
        stage3/test_lost.py::test_no_difference_of_two_clocks_buys_twice
        test_batches_by_programs.py::test_a_clock_that_is_set_calls_no_batch_lost""",
    "V2 an account is a hash of the key alone": """
        stage3/test_lost.py::test_absent_is_believed_under_all_conditions_only""",
    "V3 a call that is left": """
        library/test_leaving.py::test_what_on_progress_raises_leaves_a_call_that_blocks
        library/test_leaving.py::test_what_a_handler_raises_leaves_a_call_that_blocks
        library/test_leaving.py::test_whatever_leaves_an_open_stage_loses_nothing""",
    "V4 an answer about another job": """
        stage3/providers/test_bought_at_queues.py::test_a_picture_of_another_job_is_never_shown""",
    "V5 a picture that a later run takes in": """
        stage3/providers/test_bought_at_queues.py::test_a_later_run_takes_a_job_in_at_its_price""",
    "V6 a job that is still called pending": """
        stage3/test_jobs.py::test_what_is_still_called_being_made_is_never_given_up_by_our_clock""",
    "V7 a ten-millionth of a unit": """
        stage3/test_plausible_bills.py::test_next_to_nothing_for_a_picture_lets_nothing_through_a_cap""",
    "V8 found by its seed, amounts, lines": """
        stage3/providers/test_studio_runs.py::test_a_prediction_with_its_seed_and_other_words_is_not_it
        stage3/test_plausible_bills.py::test_next_to_nothing_for_a_line_of_a_batch_counts_as_its_hold""",
    "D1 out/ is moved": """
        host/test_moved.py::test_what_was_chosen_holds_wherever_results_and_project_went""",
    "D2 an emptied story.db": "host/test_moved.py::test_an_emptied_book_is_no_new_story",
    "D3 a path that is no text": """
        hostile/test_around_a_story.py::test_a_project_in_a_folder_whose_name_is_no_text_runs""",
    "D4 a story of another user": """
        hostile/test_around_a_story.py::test_a_story_of_another_user_is_named_with_what_to_do""",
    "D5 ids beyond the locale": """
        hostile/test_around_a_story.py::test_a_name_that_the_locale_cannot_write_is_refused_before_it_is_paid_for""",
    "D6 a take that is two links": """
        hostile/test_around_a_story.py::test_a_shown_take_that_is_two_links_comes_back_as_it_was""",
    "D7 too few files": "hostile/test_around_a_story.py::test_too_few_files_are_said_in_two_lines",
    "D8 three runs at once": """
        host/test_story_run.py::TestOtherPlugins::test_two_runs_at_once_leave_a_story_that_is_whole""",
    "X1 a store whose disk goes away": "engines/cloud/test_runs.py",
    "X2 a finished story costs too much": "test_cost_of_resuming.py",
    "X3 Ray, Ctrl-C twice": "engines/ray/test_ray_ends.py",
    "X4 Ray without room": "engines/ray/test_ray_ends.py",
    "X5 a store that answers ENOENT": "engines/cloud/test_commands.py",
    "X6 a bucket's object damaged": "engines/cloud/test_commands.py",
    "X7 a server that is restarted": "engines/postgres/test_servers_as_they_are.py",
    "X8 too many connections": "engines/postgres/test_servers_as_they_are.py",
    "X9 a role that may only read": "engines/postgres/test_servers_as_they_are.py",
    "X10 a restored server": "engines/postgres/test_less.py",
    "X11 figures": "rules/test_money_pages.py",
    "X12 a cluster that is absent, dates, words": """
        engines/postgres/test_servers_as_they_are.py
        engines/ray/test_ray_ends.py::test_a_cluster_that_is_absent_is_looked_for_once""",
    "U1 style tags": """
        test_style_tags_end_to_end.py::test_dropped_tags_are_told_of_and_not_sent
        test_style_tags_end_to_end.py::test_a_picture_without_its_tags_is_bought_anew_and_that_is_said_first""",
    "U2 a Style: line under a chapter": """
        test_style_tags_end_to_end.py::test_a_style_line_of_a_chapter_reaches_the_model""",
    "U3 a grandfather clock": "stage3/previz/test_reading.py",
    "U4 takes of a rehearsal": "test_rehearsal.py::test_a_batch_is_drawn_too",
    "U5 a plugin's media type and size": "host/test_liars.py",
    "U6 after a caught liar": "host/test_liars.py",
    "U7 a key of one letter": """
        host/test_cli.py::test_a_short_key_masks_no_letters_of_a_message""",
    "U8 as before": "stage3/test_service.py",
    "U9 what pip installs": "rules/test_packaging.py",
    "U10 quality best": "test_qualities.py::test_a_quality_that_a_model_does_not_have_is_refused",
    "U11 .story is never to be deleted": """
        test_director_end_to_end.py::test_every_paid_take_comes_back_after_the_story_is_deleted""",
    "U12 one word for one thing": "host/test_transcript.py",
    "U13 looking needs a key": """
        test_looking.py::test_a_price_can_be_known_before_there_is_a_key
        test_looking.py::test_what_sends_says_first_which_key_is_not_set""",
}

TABLES: Mapping[str, Table] = {
    "promises": PROMISES,
    "caps": CAPS,
    "what is sent again": SENT_AGAIN,
    "in a row": IN_A_ROW,
    "when something breaks": WHEN_SOMETHING_BREAKS,
    "exit codes": EXIT_CODES,
    "states": STATES,
    "other pages": OTHER_PAGES,
    "first findings": FIRST_FINDINGS,
    "second findings": SECOND_FINDINGS,
}

KNOW_A_ROOM = """
    host/test_liars.py::test_a_picture_that_is_found_again_is_read_once
    hostile/test_addresses_down.py::test_an_address_is_shown_without_what_is_signed
    hostile/test_addresses_down.py::test_the_table_of_addresses
    hostile/test_addresses_down.py::test_waits_double_up_to_a_minute
    hostile/test_bills.py::test_caps_hold_whatever_python_leaves_out
    hostile/test_days.py::test_setting_the_day_keeps_what_was_there
    hostile/test_forks.py::test_a_process_forked_while_a_ledger_is_open_sends_nothing
    hostile/test_identity.py::test_a_ledger_that_knows_less_than_its_folder_buys_nothing
    hostile/test_identity.py::test_a_ledger_that_somebody_died_over_is_looked_through
    hostile/test_identity.py::test_a_picture_that_was_let_go_of_is_accounted_for
    hostile/test_identity.py::test_an_answer_that_no_row_has_keeps_a_run_from_buying
    hostile/test_identity.py::test_who_accepts_a_folder_goes_on_and_is_not_asked_again
    hostile/test_manifest_secrets.py::test_the_worst_text_is_read_once
    hostile/test_manifest_secrets.py::test_what_is_no_address_stays_as_it_is
    hostile/test_manifest_secrets.py::test_what_makes_an_address_as_good_as_a_key_is_left_out
    hostile/test_owners_lost.py::test_a_row_that_no_request_lasts_as_long_as_is_nobodys
    hostile/test_readonly.py::test_a_path_that_is_too_long_for_sqlite_is_called_that
    hostile/test_stopped.py::test_a_request_whose_time_is_over_does_not_leave
    hostile/test_stopped.py::test_finding_and_connecting_together_take_no_more_than_the_whole_time
    hostile/test_unreadable.py::test_a_picture_that_breaks_who_looks_at_it_is_unknown_and_not_billed_for_nothing
    hostile/test_unreadable.py::test_an_answer_without_memory_to_read_it_is_taken_in_later
    hostile/test_unreadable.py::test_an_unknown_one_is_not_sent_again_while_its_answer_cannot_be_read
    hostile/test_unreadable.py::test_every_number_in_the_table_has_words_of_its_own
    hostile/test_unreadable.py::test_nobody_removes_a_copy_that_is_just_being_made
    stage3/providers/test_studio_runs.py::test_a_lost_prediction_is_found_or_bought_anew
    stage3/test_batch_runs.py::test_a_story_is_cut_to_what_a_batch_takes
    stage3/test_batch_trouble.py::test_a_line_that_was_taken_in_before_its_scene_came_ends_it
    stage3/test_batch_trouble.py::test_a_line_too_large_for_any_batch_is_rejected_by_itself
    stage3/test_batch_trouble.py::test_a_picture_that_lines_show_is_uploaded_once
    stage3/test_batch_trouble.py::test_results_that_the_disk_has_no_room_for_are_said_to_stay_where_they_are
    stage3/test_batch_trouble.py::test_the_ledger_knows_what_a_picture_was_made_from_that_a_later_run_took_in
    stage3/test_batch_trouble.py::test_what_is_held_as_the_run_stops_is_given_back_unsent
    stage3/test_batch_trouble.py::test_what_the_queue_has_no_room_for_waits_for_a_later_run
    stage3/test_caps.py::test_after_a_bill_above_its_hold_nothing_more_is_held
    stage3/test_caps.py::test_money_is_held_before_a_request_and_never_more_than_the_cap
    stage3/test_caps.py::test_what_has_no_known_price_is_never_bought_under_a_cap
    stage3/test_disk.py::test_a_ledger_that_cannot_grow_leaves_the_purchase_to_the_next_start
    stage3/test_disk.py::test_only_as_many_are_in_flight_as_the_disk_has_room_for
    stage3/test_disk.py::test_what_is_there_needs_no_room
    stage3/test_disk.py::test_without_room_for_an_answer_nothing_is_sent
    stage3/test_jobs.py::test_an_answer_of_a_submit_that_nobody_wrote_down_is_taken_up
    stage3/test_lost.py::test_a_later_run_asks_before_it_buys
    stage3/test_lost.py::test_a_lost_answer_is_found_in_the_same_run
    stage3/test_lost.py::test_a_machine_that_slept_between_the_hold_and_the_request_sends_nothing_on_it
    stage3/test_lost.py::test_a_provider_that_does_not_list_every_job_can_only_find
    stage3/test_lost.py::test_absence_is_believed_in_time
    stage3/test_lost.py::test_absence_is_never_believed_too_early
    stage3/test_lost.py::test_clocks_that_disagree_prove_nothing_until_it_is_looked_for_anew
    stage3/test_lost.py::test_only_what_nobody_can_send_any_more_is_asked_for
    stage3/test_lost.py::test_what_is_proved_absent_costs_nothing_and_is_bought
    stage3/test_service.py::test_the_public_names_are_those_that_are_listed
    stage3/test_unknown.py::test_what_a_fault_kept_from_being_recorded_is_not_called_free
    stage3/test_unknown.py::test_what_was_received_of_it_stays_as_evidence
"""
"""Tests of files above that are no part of the net, and that go with the room that they know."""

OTHER_LANES = ("engines/", "rules/", "kit/", "stage3/test_other_store.py")
"""Tests that a lane of their own runs, for what they need or since they read no behaviour."""


@cache
def _left_out() -> frozenset[str]:
    return frozenset(KNOW_A_ROOM.split())


def named() -> Iterator[str]:
    """Return every test that a row names."""
    for table in TABLES.values():
        for tests in table.values():
            yield from tests.split()


@cache
def marked() -> frozenset[str]:
    """Return what ``-m promise`` runs: files, and tests by their file."""
    return frozenset(one for one in named() if not one.startswith(OTHER_LANES))


def is_marked(file: str, test: str) -> bool:
    """Return whether a test is one of these."""
    name = f"{file}::{test}"
    return name in marked() or (file in marked() and name not in _left_out())
