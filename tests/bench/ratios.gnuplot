# gnuplot -e "data='x.dat'; out='x.svg'; count=3; ours='wlad'; title='local'" ratios.gnuplot
# columns: measure, then of each peer the median, least and largest ratio
set terminal svg size 1200,560 font "sans,11" background "white"
set output out
set title sprintf("%s: %s as a ratio to each peer of the same run; median, least, largest (round-trip: lower is better)", title, ours)
set style data histogram
set style histogram errorbars gap 2 lw 1
set style fill solid 0.8 noborder
set datafile missing "?"
set logscale y
set grid ytics
set yrange [0.1:*]
set ytics (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
set key outside top center horizontal autotitle columnheader
set xtics rotate by -25 nomirror
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 1 dt 2
plot for [i=0:count-1] data using (column(3*i+2)):(column(3*i+3)):(column(3*i+4)):xtic(1)
