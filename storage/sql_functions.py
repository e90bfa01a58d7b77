"""Functions an analyst's SQL may call: an allow-list by name, so that a function DuckDB learns in a
later version is refused until someone has looked at it.

Left out on purpose: everything that reads files, settings, variables, the environment or the
catalog (read_*, glob, getenv, current_setting, getvariable, duckdb_*, pragma_*, pg_*), runs text as
SQL (query, query_table, json_execute_serialized_sql), writes (write_log, nextval) or waits
(sleep_ms).
"""

from __future__ import annotations

from storage.macros import MACROS

_AGGREGATES_AND_WINDOWS = """
    any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null
    arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg
    bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count count_if count_star countif
    covar_pop covar_samp cume_dist dense_rank entropy favg fill first first_value fsum
    group_concat histogram histogram_exact kahan_sum kurtosis kurtosis_pop lag last last_value
    lead list listagg mad max max_by mean median min min_by mode nth_value ntile percent_rank
    product quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile row_number
    sem skewness stddev stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan var_pop
    var_samp variance
"""

_LISTS = """
    array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
    array_cosine_distance array_cosine_similarity array_cross_product array_distance
    array_distinct array_dot_product array_extract array_filter array_grade_up array_has
    array_has_all array_has_any array_indexof array_inner_product array_intersect array_length
    array_negative_dot_product array_negative_inner_product array_pop_back array_pop_front
    array_position array_prepend array_push_back array_push_front array_reduce array_resize
    array_reverse array_reverse_sort array_select array_slice array_sort array_to_json
    array_to_string array_to_string_comma_default array_transform array_unique array_value
    array_where array_zip grade_up list_aggr list_aggregate list_any_value list_append
    list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor
    list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance
    list_cosine_similarity list_count list_distance list_distinct list_dot_product list_element
    list_entropy list_extract list_filter list_first list_grade_up list_has list_has_all
    list_has_any list_histogram list_indexof list_inner_product list_intersect list_kurtosis
    list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode
    list_negative_dot_product list_negative_inner_product list_pack list_position list_prepend
    list_product list_reduce list_resize list_reverse list_reverse_sort list_select list_sem
    list_skewness list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum
    list_transform list_unique list_value list_var_pop list_var_samp list_where list_zip
"""

_MAPS_STRUCTS_JSON = """
    cardinality from_json from_json_strict json json_array json_array_length json_contains
    json_exists json_extract json_extract_path json_extract_path_text json_extract_string
    json_group_array json_group_object json_group_structure json_keys json_merge_patch
    json_object json_pretty json_quote json_structure json_transform json_transform_strict
    json_type json_valid json_value map map_concat map_contains map_contains_entry
    map_contains_value map_entries map_extract map_extract_value map_from_entries map_keys
    map_values row_to_json struct_concat struct_contains struct_extract struct_extract_at
    struct_has struct_indexof struct_insert struct_keys struct_pack struct_position
    struct_values to_json union_extract union_tag union_value
"""

_TIMES = """
    age ago century current_date current_localtime current_localtimestamp date_add date_diff
    date_part date_sub date_trunc datediff datepart datesub datetrunc day dayofmonth dayofweek
    dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era get_current_time
    get_current_timestamp hour isoyear julian last_day make_date make_time make_timestamp
    make_timestamp_ms make_timestamp_ns make_timestamptz microsecond millennium millisecond
    minute month monthname nanosecond now quarter second strftime strptime time_bucket timezone
    timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds
    to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp
    to_weeks to_years today transaction_timestamp try_strptime uuid_extract_timestamp week
    weekday weekofyear year yearweek
"""

_TEXT_AND_NUMBERS = """
    abs acos acosh add aggregate apply ascii asin asinh atan atan2 atanh bar base64 bin
    bit_count bit_length bit_position bitstring cbrt ceil ceiling char_length character_length
    chr concat concat_ws contains cos cosh cot damerau_levenshtein dayname decode degrees divide
    editdist3 element_at encode ends_with equi_width_bins even exp factorial fdiv filter flatten
    floor fmod format formatreadabledecimalsize formatreadablesize format_bytes from_base64
    from_binary from_hex gamma gcd gen_random_uuid generate_series geomean geometric_mean
    get_bit greatest greatest_common_divisor hamming hash hex instr isfinite isinf isnan isodow
    jaccard jaro_similarity jaro_winkler_similarity lcase lcm least least_common_multiple left
    left_grapheme len length length_grapheme levenshtein lgamma ln log log10 log2 lower lpad
    ltrim md5 md5_number md5_number_lower md5_number_upper mismatches mod multiply nextafter
    nfc_normalize normalized_interval nullif octet_length ord parse_formatted_bytes pi position
    pow power prefix printf radians random range reduce regexp_escape regexp_extract
    regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table repeat replace reverse right right_grapheme round round_even
    roundbankers rpad rtrim set_bit sha1 sha256 sign signbit sin sinh split split_part sqrt
    starts_with str_split str_split_regex string_split string_split_regex string_to_array
    strip_accents strlen strpos substr substring substring_grapheme subtract suffix tan tanh
    to_base to_base64 to_binary to_hex translate trim trunc typeof ucase unbin unhex unicode
    upper url_decode url_encode uuid uuid_extract_version uuidv4 uuidv7 wavg weighted_avg xor
    unnest coalesce ifnull grouping grouping_id columns
"""

_OPERATORS = """
    !__postfix !~~ !~~* % & && * ** + - ->> -> / // <-> << <=> <@ >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~
    ! =>
"""

OPERATORS = frozenset(_OPERATORS.split())
"""Operators are functions too once parsed."""

FUNCTIONS = frozenset(
    name
    for group in (
        _AGGREGATES_AND_WINDOWS,
        _LISTS,
        _MAPS_STRUCTS_JSON,
        _TIMES,
        _TEXT_AND_NUMBERS,
    )
    for name in group.split()
) | {macro.name for macro in MACROS}

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""The only functions allowed in FROM."""
