// The figure of the lesson "From one number to many"; its modules lie in learn/.
export default figure(".transposed", "transposed_figure.js", "TransposedFigure");
