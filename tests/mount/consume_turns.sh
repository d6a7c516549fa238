#!/bin/bash
# Several programs take turns on one descriptor of a partition, a stream, a range, in any format:
# each gets its own lines and none is lost, for the shell seeks back to the end of its line.
. "$LIB/lib.sh"

start_broker
make_topic t
seq 1 100 >>"$T/t/0"
for view in 0 0@0 0@0.. all@earliest all 0@earliest.lines; do
	(
		read -r a
		read -r b
		# GNU head gives back what it took too much where it can seek.
		c=$(head -n 2)
		read -r d
		assert_eq "1 2 3 4 5" "$a $b ${c/$'\n'/ } $d" "$view"
		mapfile -t -n 3 e
		assert_eq "6 7 8" "${e[*]}" "$view, mapfile"
		f=$(bash -c 'read -r x; read -r y; echo "$x,$y"')
		assert_eq "9,10" "$f" "$view, another shell"
		g=$(sed -u 2q)
		assert_eq "11 12" "${g/$'\n'/ }" "$view, sed"
		if command -v dash >/dev/null; then
			assert_eq 13 "$(dash -c 'read -r x; echo $x')" "$view, dash"
		else
			read -r h
		fi
		assert_eq 14 "$(head -n 1)" "$view, head"
	) <"$T/t/$view"
done
for view in 0.json 0@5.json all.json; do
	(
		read -r a
		b=$(head -n 2)
		read -r c
		first=$(grep -o '"value":"[0-9]*"' <<<"$a" | tr -dc 0-9)
		assert_eq "$((first + 1))$((first + 2))" "$(grep -o 'value":"[0-9]*' <<<"$b" |
			tr -dc 0-9)" "$view"
		assert_match "\"value\":\"$((first + 3))\"" "$c" "$view"
	) <"$T/t/$view"
done
# The worked-off stream: what follows is given to who reads next.
exec 4<"$T/t/0@100"
echo a >>"$T/t/0"
echo b >>"$T/t/0"
read -r x <&4
assert_eq b "$(head -n 1 <&4)"
assert_eq a "$x"
exec 4<&-
stop_broker
