// Fetches the files that the server makes for the lessons' figures: from assets/course/, next to the modules in assets/learn/.

async function answer(name) {
  const response = await fetch(new URL(`../course/${name}`, import.meta.url));
  if (!response.ok) throw new Error(response.status === 503 ? await response.text() : `the server answered ${response.status}`);
  return response;
}

export async function json(name) {
  return (await answer(name)).json();
}

export async function bytes(name) {
  return (await answer(name)).arrayBuffer();
}

// A picture from an address, decoded.
export async function picture(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}
