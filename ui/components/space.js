// The figure of the lesson "The space of images"; its modules lie in learn/.
export default figure(".space", "space.js", "Space");
