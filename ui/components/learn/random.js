// Random numbers with a seed: the same seed gives the same game in every browser.

// sfc32 (Chris Doty-Humphrey's small fast counter), 128 bits of state.
export class Random {
  constructor(seed) {
    this.a = seed | 0;
    this.b = (seed / 2 ** 32) | 0;
    this.c = 0x9e3779b9 | 0;
    this.counter = 1;
    this.spare = NaN;  // the second of a pair of normal numbers
    for (let i = 0; i < 15; i++) this.next();
  }

  // 32 random bits, as a whole number that is not negative.
  next() {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  // Uniform in [0, 1).
  uniform() {
    return this.next() / 4294967296;
  }

  // A whole number from 0 to below `limit`.
  below(limit) {
    return Math.floor(this.uniform() * limit);
  }

  // Standard normal, by Marsaglia's polar method.
  normal() {
    if (!Number.isNaN(this.spare)) {
      const value = this.spare;
      this.spare = NaN;
      return value;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1, y = 2 * this.uniform() - 1, square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const scale = Math.sqrt(-2 * Math.log(square) / square);
      this.spare = y * scale;
      return x * scale;
    }
  }
}
