// The figure of the lesson "Real or fake?"; its module lies in learn/.
export default figure(".quiz", "real_or_fake.js", "RealOrFake");
