// The figure of the lesson "What is wrong with it?"; its modules lie in learn/.
export default figure(".clinic", "clinic_figure.js", "Clinic");
