#!/bin/sh
# Copies a topic into another: keys, headers, tombstones and timestamps, record by record. It is one
# line, the last; the rest is this comment.
#
#   mkdir mnt/topics/orders-copy
#   examples/copy.sh mnt/topics/orders mnt/topics/orders-copy
#
# all.json without a position is a range of everything, so cat ends. Each object names its
# partition, which the writer of all.json obeys: the copy needs as many partitions as the original
# (echo num.partitions=N > mnt/topics/orders-copy/config). To have the keys dealt out anew, take the
# member away:  sed 's/"partition":[0-9]*,//'
# To follow instead of ending, read all@earliest.json.
cat "${1:?topic to copy from}/all.json" >>"${2:?topic to copy to}/all.json"
