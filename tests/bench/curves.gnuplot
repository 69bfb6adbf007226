# gnuplot -e "data='curves.dat'; out='curves.svg'" curves.gnuplot
# blocks: connections, servers, services; columns: x, ns a packet, ratio, ns a new connection, ratio
set terminal svg size 1400,480 font "sans,11" background "white"
set output out
set multiplot layout 1,3 title "Processor time on the memory backend, packets of random connections"
set logscale x
set yrange [0:*]
set grid
set ylabel "nanoseconds"
set key top left
do for [i=0:2] {
	set xlabel word("connections servers services", i + 1)
	plot data index i using 1:2 with linespoints lw 2 title "a packet", \
	     "" index i using 1:4 with linespoints lw 2 title "a new connection"
}
unset multiplot
