# gnuplot -e "data='table.dat'; out='table.svg'" table.gnuplot
set terminal svg size 1400,620 font "sans,11" background "white"
set output out
set title "Slowdown of connections, by rule (1: nobody waits; lower is better)"
set style data histogram
set style histogram clustered gap 2
set style fill solid 0.8 noborder
set logscale y
set yrange [0.98:40]
set ytics (1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 40)
set grid ytics
set key outside top center horizontal
set xtics rotate by -40 nomirror
set rmargin 8
plot data using 2:xtic(1) title "each site for itself", \
     "" using 3 title "least loaded as reported", \
     "" using 4 title "better of two of all", \
     "" using 5 title "wlad, prefer any", \
     "" using 6 title "wlad"
