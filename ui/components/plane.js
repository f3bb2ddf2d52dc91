// The figure of the lesson "The game on a plane"; its modules lie in learn/.
export default figure(".plane", "plane.js", "Plane");
