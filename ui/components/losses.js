// The figure of the lesson "What the losses say"; its modules lie in learn/.
export default figure(".losses", "losses_figure.js", "LossesFigure");
