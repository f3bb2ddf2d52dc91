// Shared by the components that ask the server for pictures. Their own scripts follow below.

// The address of a generator's picture; what: its query.
function pictureAddress(root, model, label, what) {
  return `${root}api/models/${encodeURIComponent(model)}/image.png?${what}${label == null ? "" : `&class=${encodeURIComponent(label)}`}`;
}

// The server's answer; if it is busy (503), the request is repeated after the given time, as long as the picture is still wanted.
const TRIES = 30;
async function patient(address, wanted) {
  for (let tries = 1; ; tries++) {
    const answer = await fetch(address);
    if (answer.status !== 503 || tries === TRIES) return answer;
    const seconds = Number(answer.headers.get("Retry-After")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds * (0.5 + Math.random())));  // not all at the same moment
    if (!wanted()) return answer;
  }
}

const AT_ONCE = 2;  // requests at a time; more would only wait in the server
const LOGGED = 2000;  // pictures whose times are logged, for benchmarks

// A canvas that shows the last requested picture. Answers older than the picture on screen are dropped.
class Follower {
  constructor(canvas, fault) {
    Object.assign(this, { canvas, fault, underway: 0, sent: 0, drawn: 0, log: [] });
  }

  show(address) {
    this.ended = false;
    this.wanted = { address, since: performance.now() };
    this.pump();
  }

  async pump() {
    if (!this.wanted || this.underway >= AT_ONCE) return;
    const { address, since } = this.wanted, number = ++this.sent, asked = performance.now();
    let every = 0;  // milliseconds that the server wants between two pictures
    this.wanted = null;
    this.underway++;
    try {
      const answer = await patient(address, () => !this.wanted && !this.ended);
      if (!answer.ok) throw new Error((await answer.json()).error);
      every = Number(answer.headers.get("X-Picture-Every-Ms") ?? 0);
      const image = await createImageBitmap(await answer.blob());
      if (number > this.drawn) {
        this.drawn = number;
        this.canvas.getContext("2d").drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
        this.fault.textContent = "";
        this.log.push([since, performance.now()]);
        if (this.log.length > LOGGED) this.log.shift();
      }
    } catch (error) {
      if (number > this.drawn && !this.wanted) this.fault.textContent = `The picture could not be drawn: ${error.message}. Move again to retry.`;
    }
    const rest = every - (performance.now() - asked);
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    this.underway--;
    this.pump();
  }

  end() {
    this.wanted = null;
    this.ended = true;
  }
}

