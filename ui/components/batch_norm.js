// The figure of the lesson "What batch normalization does"; its modules lie in learn/.
export default figure(".bnorm", "batch_norm.js", "BatchNorm");
