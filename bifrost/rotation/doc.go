// Package rotation says which of a keygen's members make its two signatures over the check message,
// window of block heights after window.
//
// A signature needs exactly threshold members, and one of them can spoil it. So the sets of signers
// take turns, by what all members know alike: how many members and which threshold, the keygen's
// id, and the number of the window. A turn leaves out any two members together at least once. With
// at most two that spoil what they sign, or one where no more than one can be left out, some set of
// a turn is without them, and a turn may be begun at any window. That takes a covering of all pairs
// by sets of n − threshold; the fewer the sets, the shorter the turn. A turn begins with sets that
// leave out each member once, as whoever is alone, by far the most frequent, is out after those.
// The keygen's id decides which member has which place.
//
// What this package computes is the same in all versions: two members with different sets sign
// nothing. These are the numbers of windows for n members and the threshold ⌈2n/3⌉. "out" are left
// out at a time; a "turn" leaves out any two, up to n = 5 any one; below the "bound", which is
// Schönheim's, no covering can be. "one" is what leaves out any one, from the beginning of a turn,
// and beside it from anywhere.
//
//	 n  threshold  out  turn  bound  one  from anywhere
//	 3          2    1     3      3    3              3
//	 4          3    1     4      4    4              4
//	 5          4    1     5      5    5              5
//	 6          4    2    15     15    3              4
//	 7          5    2    21     21    4              5
//	 8          6    2    28     28    4              6
//	 9          6    3    12     12    3              5
//	10          7    3    17     17    4              6
//	11          8    3    19     19    4              6
//	12          8    4    13     12    3             10
//	13          9    4    16     13    4              6
//	14         10    4    18     18    4              8
//	15         10    5    14     12    3             11
//	16         11    5    16     13    4              8
//	17         12    5    18     14    4             10
//	18         12    6    12     12    3              5
//	19         13    6    16     13    4              6
//	20         14    6    17     14    4              8
//	21         14    7    14     12    3             11
//	22         15    7    15     13    4              7
//	23         16    7    17     14    4              7
//	24         16    8    14     12    3              7
//	25         17    8    16     13    4              7
//	26         18    8    17     13    4             10
//	27         18    9    12     12    3              5
//	28         19    9    16     13    4              9
//	29         20    9    17     13    4             11
//	30         20   10    13     12    3              8
//	31         21   10    16     13    4              7
//	32         22   10    17     13    4             14
//	33         22   11    14     12    3              8
//	34         23   11    16     13    4              7
//	35         24   11    17     13    4             10
//	36         24   12    12     12    3              5
//	37         25   12    16     13    4             10
//	38         26   12    17     13    4              7
//	39         26   13    13     12    3              6
//	40         27   13    16     13    4              8
package rotation
