"""Writes json_cases.txt: for each name of JSONTestSuite's parsing cases, a text of our own with the property which the name
describes. The names are from the list of Nicolas Seriot of 2024-11-22: a parser must accept 95 of the cases, must refuse
188, and may accept or refuse 35.

    python3 make_json_cases.py > json_cases.txt

Each line consists of a name and the bytes in hexadecimal. `hex*N` repeats the bytes N times, and `+` joins parts."""

# Each line consists of a name and a text. encoded() and newlines() explain the notation of the text.
ACCEPTED = rb"""
array_arraysWithSpaces|[ [ ]  ]
array_empty-string|[""]
array_empty|[]
array_ending_with_newline|["q"]\n
array_false|[false]
array_heterogeneous|[null,2,"3",{}]
array_null|[null]
array_with_1_and_newline|[1\n]
array_with_leading_space| [7]
array_with_several_null|[3,null,null,null,4]
array_with_trailing_space|[8]<20>
number|[321e56]
number_0e+1|[0e+1]
number_0e1|[0e1]
number_after_space|[ 9]
number_double_close_to_zero|[-0.000000000000000000000000000000000000000000000000000000000000000000003]
number_int_with_exp|[30e2]
number_minus_zero|[-0]
number_negative_int|[-456]
number_negative_one|[-1]
number_negative_zero|[-0]
number_real_capital_e|[2E21]
number_real_capital_e_neg_exp|[2E-3]
number_real_capital_e_pos_exp|[2E+3]
number_real_exponent|[456e12]
number_real_fraction_exponent|[4.56e12]
number_real_neg_exp|[2e-3]
number_real_pos_exponent|[2e+3]
number_simple_int|[456]
number_simple_real|[45.6789]
object|{"one":"two", "three":"four"}
object_basic|{"one":"two"}
object_duplicated_key|{"k":"v","k":"w"}
object_duplicated_key_and_value|{"k":"v","k":"v"}
object_empty|{}
object_empty_key|{"":1}
object_escaped_null_in_key|{"k\u0000k": 1}
object_extreme_numbers|{ "least": -2.0e+27, "most": 2.0e+27 }
object_long_strings|{"a":[{"b": "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}], "b": "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}
object_simple|{"k":[]}
object_string_unicode|{"name":"\uc194\ub77c"}
object_with_newlines|{\n"k": "v"\n}
string_1_2_3_bytes_UTF-8_sequences|["\u0041\u00e9\u20AC"]
string_accepted_surrogate_pair|["\uD83D\ude00"]
string_accepted_surrogate_pairs|["\ud83d\ude00\ud83d\ude01"]
string_allowed_escapes|["\"\\\/\b\f\n\r\t"]
string_backslash_and_u_escaped_zero|["\\u0000"]
string_backslash_doublequotes|["\""]
string_comments|["x/*y*/z//"]
string_double_escape_a|["\\a"]
string_double_escape_n|["\\n"]
string_escaped_control_character|["\u0011"]
string_escaped_noncharacter|["\uFFFF"]
string_in_array|["one"]
string_in_array_with_leading_space|[ "one"]
string_last_surrogates_1_and_2|["\uDBFF\uDFFF"]
string_nbsp_uescaped|["one\u00A0two"]
string_nonCharacterInUTF-8_U+10FFFF|["<f4><8f><bf><bf>"]
string_nonCharacterInUTF-8_U+FFFF|["<ef><bf><bf>"]
string_null_escape|["\u0000"]
string_one-byte-utf-8|["\u0041"]
string_pi|["<cf><80>"]
string_reservedCharacterInUTF-8_U+1BFFF|["<f0><9b><bf><bf>"]
string_simple_ascii|["one "]
string_space|" "
string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF|["\uD834\uDd1e"]
string_three-byte-utf-8|["\u20ac"]
string_two-byte-utf-8|["\u00e9"]
string_u+2028_line_sep|["<e2><80><a8>"]
string_u+2029_par_sep|["<e2><80><a9>"]
string_uEscape|["\u0062\u30bd\u30E9\u30b8"]
string_uescaped_newline|["one\u000Atwo"]
string_unescaped_char_delete|["<7f>"]
string_unicode|["\uC194"]
string_unicodeEscapedBackslash|["\u005C"]
string_unicode_2|["<ec><86><94><eb><9d><bc>"]
string_unicode_U+10FFFE_nonchar|["\uDBFF\uDFFE"]
string_unicode_U+1FFFE_nonchar|["\uD83F\uDFFE"]
string_unicode_U+200B_ZERO_WIDTH_SPACE|["\u200B"]
string_unicode_U+2064_invisible_plus|["\u2064"]
string_unicode_U+FDD0_nonchar|["\uFDD0"]
string_unicode_U+FFFE_nonchar|["\uFFFE"]
string_unicode_escaped_double_quote|["\u0022"]
string_utf8|["<c3><a9><f0><9f><98><80>"]
string_with_del_character|["b<7f>b"]
structure_lonely_false|false
structure_lonely_int|24
structure_lonely_negative_real|-0.2
structure_lonely_null|null
structure_lonely_string|"one"
structure_lonely_true|true
structure_string_empty|""
structure_trailing_newline|["q"]\n
structure_true_in_array|[true]
structure_whitespace_array|<20>[]<20>
"""

REFUSED = rb"""
array_1_true_without_comma|[2 true]
array_a_invalid_utf8|[b<e5>]
array_colon_instead_of_comma|["k": 2]
array_comma_after_close|["k"],
array_comma_and_number|[,2]
array_double_comma|[3,,4]
array_double_extra_comma|["k",,]
array_extra_close|["k"]]
array_extra_comma|["k",]
array_incomplete|["k"
array_incomplete_invalid_value|[k
array_inner_array_no_comma|[4[5]]
array_invalid_utf8|[<ff>]
array_items_separated_by_semicolon|[3:4]
array_just_comma|[,]
array_just_minus|[-]
array_missing_value|[  , "k"]
array_newlines_unclosed|["k",\n5\n,2,
array_number_and_comma|[2,]
array_number_and_several_commas|[2,,]
array_spaces_vertical_tab_formfeed|["<0b>k"<0c>]
array_star_inside|[*]
array_unclosed|["k"
array_unclosed_trailing_comma|[2,
array_unclosed_with_new_lines|[2,\n2\n,2
array_unclosed_with_object_inside|[{}
incomplete_false|[fals]
incomplete_null|[nul]
incomplete_true|[tru]
multidigit_number_then_00|456<00>
number_++|[++4321]
number_+1|[+2]
number_+Inf|[+Inf]
number_-01|[-02]
number_-1.0.|[-2.0.]
number_-2.|[-3.]
number_-NaN|[-NaN]
number_.-1|[.-2]
number_.2e-3|[.3e-2]
number_0.1.2|[0.2.1]
number_0.3e+|[0.4e+]
number_0.3e|[0.4e]
number_0.e1|[0.e2]
number_0_capital_E+|[0E+]
number_0_capital_E|[0E]
number_0e+|[0e+]
number_0e|[0e]
number_1.0e+|[2.0e+]
number_1.0e-|[2.0e-]
number_1.0e|[2.0e]
number_1_000|[2 000.0]
number_1eE2|[2eE3]
number_2.e+3|[3.e+2]
number_2.e-3|[3.e-2]
number_2.e3|[3.e2]
number_9.e+|[8.e+]
number_Inf|[Inf]
number_NaN|[NaN]
number_U+FF11_fullwidth_digit_one|[<ef><bc><91>]
number_expression|[2+3]
number_hex_1_digit|[0x2]
number_hex_2_digits|[0x24]
number_infinity|[Infinity]
number_invalid+-|[0e+-2]
number_invalid-negative-real|[-4.56bar]
number_invalid-utf-8-in-bigger-int|[456<e5>]
number_invalid-utf-8-in-exponent|[2e2<e5>]
number_invalid-utf-8-in-int|[0<e5>]
number_minus_infinity|[-Infinity]
number_minus_sign_with_trailing_garbage|[-bar]
number_minus_space_1|[- 2]
number_neg_int_starting_with_zero|[-023]
number_neg_real_without_int_part|[-.456]
number_neg_with_garbage_at_end|[-2y]
number_real_garbage_after_e|[2eb]
number_real_with_invalid_utf8_after_e|[2e<e5>]
number_real_without_fractional_part|[2.]
number_starting_with_dot|[.456]
number_with_alpha|[2.3b-4]
number_with_alpha_char|[2.5022280097337315K-305]
number_with_leading_zero|[023]
object_bad_value|["k", lie]
object_bracket_key|{[: "k"}
object_comma_instead_of_colon|{"k", null}
object_double_colon|{"k"::"v"}
object_emoji|{<f0><9f><98><80>}
object_garbage_at_end|{"k":"v" 456}
object_key_with_single_quotes|{k: 'v'}
object_lone_continuation_byte_in_key_and_trailing_comma|{"<b8>":"1",}
object_missing_colon|{"k" v}
object_missing_key|{:"v"}
object_missing_semicolon|{"k" "v"}
object_missing_value|{"k":
object_no-colon|{"k"
object_non_string_key|{2:2}
object_non_string_key_but_huge_number_instead|{8888E8888:2}
object_repeated_null_null|{null:null,null:null}
object_several_trailing_commas|{"k":1,,,,}
object_single_quote|{'k':1}
object_trailing_comma|{"k":1,}
object_trailing_comment|{"k":"v"}/**/
object_trailing_comment_open|{"k":"v"}/**//
object_trailing_comment_slash_open|{"k":"v"}//
object_trailing_comment_slash_open_incomplete|{"k":"v"}/
object_two_commas_in_a_row|{"k":"v",,"l":"w"}
object_unquoted_key|{k: "v"}
object_unterminated-value|{"k":"v
object_with_single_string|{ "one" : "two", "k" }
object_with_trailing_garbage|{"k":"v"}#
single_space|<20>
string_1_surrogate_then_escape|["\uD801\"]
string_1_surrogate_then_escape_u|["\uD801\u"]
string_1_surrogate_then_escape_u1|["\uD801\u1"]
string_1_surrogate_then_escape_u1x|["\uD801\u1x"]
string_accentuated_char_no_quotes|[<c3><a8>]
string_backslash_00|["\<00>"]
string_escape_x|["\x11"]
string_escaped_backslash_bad|["\\\"]
string_escaped_ctrl_char_tab|["\<09>"]
string_escaped_emoji|["\<f0><9f><98><80>"]
string_incomplete_escape|["\"]
string_incomplete_escaped_character|["\u00B"]
string_incomplete_surrogate|["\uD83D\uDe"]
string_incomplete_surrogate_escape_invalid|["\uD801\uD801\x"]
string_invalid-utf-8-in-escape|["\u<e5>"]
string_invalid_backslash_esc|["\k"]
string_invalid_unicode_escape|["\uzzzz"]
string_invalid_utf8_after_escape|["\<e5>"]
string_leading_uescaped_thinspace|[\u0020"k"]
string_no_quotes_with_bad_escape|[\k]
string_single_doublequote|"
string_single_quote|['one two']
string_single_string_no_double_quotes|one
string_start_escape_unclosed|["\
string_unescaped_ctrl_char|["k<00>k"]
string_unescaped_newline|["one<0a>two"]
string_unescaped_tab|["<09>"]
string_unicode_CapitalU|"\UC194"
string_with_trailing_garbage|""y
structure_100000_opening_arrays|(5b*100000)
structure_U+2060_word_joined|[<e2><81><a0>]
structure_UTF8_BOM_no_data|<ef><bb><bf>
structure_angle_bracket_.|<3c>.>
structure_angle_bracket_null|[<3c>null>]
structure_array_trailing_garbage|[2]y
structure_array_with_extra_array_close|[2]]
structure_array_with_unclosed_string|["one]
structure_ascii-unicode-identifier|b<c3><a5>
structure_capitalized_True|[True]
structure_close_unopened_array|2]
structure_comma_instead_of_closing_brace|{"k": true,
structure_double_array|[][]
structure_end_array|]
structure_incomplete_UTF8_BOM|<ef><bb>{}
structure_lone-invalid-utf-8|<e6>
structure_lone-open-bracket|[
structure_no_data|
structure_null-byte-outside-string|[<00>]
structure_number_with_trailing_garbage|3@
structure_object_followed_by_closing_object|{}}
structure_object_unclosed_no_value|{"k":
structure_object_with_comment|{"k":/*no*/"v"}
structure_object_with_trailing_garbage|{"k": true} "y"
structure_open_array_apostrophe|['
structure_open_array_comma|[,
structure_open_array_object|(5b7b22223a*50000)
structure_open_array_open_object|[{
structure_open_array_open_string|["k
structure_open_array_string|["k"
structure_open_object|{
structure_open_object_close_array|{]
structure_open_object_comma|{,
structure_open_object_open_array|{[
structure_open_object_open_string|{"k
structure_open_object_string_with_apostrophes|{'k'
structure_open_open|["\{["\{["\{
structure_single_eacute|<e8>
structure_single_star|*
structure_trailing_#|{"k":"v"}#{}
structure_uescaped_LF_before_string|[\u000A"k"]
structure_unclosed_array|[2
structure_unclosed_array_partial_null|[ true, nul
structure_unclosed_array_unfinished_false|[ false, fals
structure_unclosed_array_unfinished_true|[ true, tru
structure_unclosed_object|{"one":"two"
structure_unicode-identifier|<c3><a5>
structure_whitespace_U+2060_word_joiner|[<e2><81><a0>]
structure_whitespace_formfeed|[<0c>]
"""

EITHER = rb"""
number_double_huge_neg_exp|[456.123e-789]
number_huge_exp|[0.3e00669999999999999999999999999999999999999999999999]
number_neg_int_huge_exp|[-2e+8888]
number_pos_double_huge_exp|[2.5e+8888]
number_real_neg_overflow|[-456456e100000]
number_real_pos_overflow|[456456e100000]
number_real_underflow|[456e-10000000]
number_too_big_neg_int|[-456456456456456456456456456456]
number_too_big_pos_int|[200000000000000000000]
number_very_big_negative_int|[-456456456456456456456456456456456456456456456456]
object_key_lone_2nd_surrogate|{"\uDEAB":1}
string_1st_surrogate_but_2nd_missing|["\uDABC"]
string_1st_valid_surrogate_2nd_invalid|["\uD899\u4321"]
string_UTF-16LE_with_BOM|<ff><fe>[<00>"<00><e8><00>"<00>]<00>
string_UTF-8_invalid_sequence|["<e6><97><a5><fa>"]
string_UTF8_surrogate_U+D800|["<ed><a0><80>"]
string_incomplete_surrogate_and_escape_valid|["\uD801\n"]
string_incomplete_surrogate_pair|["\uDe2eb"]
string_incomplete_surrogates_escape_valid|["\uD801\uD801\n"]
string_invalid_lonely_surrogate|["\ud801"]
string_invalid_surrogate|["\ud801xyz"]
string_invalid_utf-8|["<fe>"]
string_inverted_surrogates_U+1D11E|["\uDd1e\uD834"]
string_iso_latin_1|["<e8>"]
string_lone_second_surrogate|["\uDEAB"]
string_lone_utf8_continuation_byte|["<82>"]
string_not_in_unicode_range|["<f4><be><be><be>"]
string_overlong_sequence_2_bytes|["<c0><ae>"]
string_overlong_sequence_6_bytes|["<fc><83><be><be><be><be>"]
string_overlong_sequence_6_bytes_null|["<fc><80><80><80><80><80>"]
string_truncated-utf-8|["<e1><ff>"]
string_utf16BE_no_BOM|<00>[<00>"<00><e8><00>"<00>]
string_utf16LE_no_BOM|[<00>"<00><e8><00>"<00>]<00>
structure_500_nested_arrays|(5b*500+5d*500)
structure_UTF-8_BOM_empty_object|<ef><bb><bf>{}
"""


def encoded(text):
    """Returns the text in hexadecimal. `<e5>` stands for the byte e5. A text in parentheses is hexadecimal already."""
    if text.startswith(b"(") and text.endswith(b")"):
        return text[1:-1].decode()
    out = b""
    while text:
        if text[:1] == b"<" and text[3:4] == b">":
            out += bytes([int(text[1:3], 16)])
            text = text[4:]
        else:
            out += text[:1]
            text = text[1:]
    return out.hex()


def newlines(text):
    """Replaces `\\n` outside of strings by a line feed."""
    inside = False
    out = b""
    for i, byte in enumerate(text):
        char = bytes([byte])
        if char == b'"' and text[i - 1 : i] != b"\\":
            inside = not inside
        out += char
        if not inside and out.endswith(b"\\n"):
            out = out[:-2] + b"\n"
    return out


def main():
    print("# From make_json_cases.py. A parser must accept y_ and refuse n_ cases. It may accept or refuse i_ cases.")
    for letter, table in (("y", ACCEPTED), ("n", REFUSED), ("i", EITHER)):
        for line in table.strip(b"\n").split(b"\n"):
            name, text = line.split(b"|", 1)
            print(f"{letter}_{name.decode()} {encoded(newlines(text))}".rstrip())


main()
