// A table of images cut from one picture. Pointing at an image says which seeds it mixes, and marks them.
const make = (tag, settings = {}) => Object.assign(document.createElement(tag), settings);

export default function ({ data, parentElement }) {
  const table = parentElement.querySelector(".stt-table"), reading = parentElement.querySelector(".stt-reading");
  const { sheet, columns, rows, split } = data, across = columns.length, down = rows.length;
  const hint = `Point at an image to see which seeds it mixes.`;

  // The image at a place of the sheet, by percentages: the place of an image among the others, 0 to 100.
  const picture = (x, y, label) => {
    const image = make("div", { className: "stt-picture", role: "img" });
    image.setAttribute("aria-label", label);
    Object.assign(image.style, { backgroundImage: `url("${sheet}")`, backgroundSize: `${100 * (across + 1)}% ${100 * (down + 1)}%`,
      backgroundPosition: `${100 * x / across}% ${100 * y / down}%` });
    return image;
  };
  const head = (x, y, seed, scope) => {
    const cell = make("th", { scope });
    cell.append(picture(x, y, `Seed ${seed}`), make("span", { className: "stt-seed", textContent: seed }));
    return cell;
  };
  const mark = (cell, on) => {
    const row = cell.parentElement, place = [...row.children].indexOf(cell);
    for (const one of [row.children[0], table.rows[0].children[place]]) one.classList.toggle("stt-marked", on);
    reading.textContent = on ? cell.dataset.words : hint;
  };

  const first = make("tr"), corner = make("td", { className: "stt-corner" });
  corner.append(make("span", { textContent: "all other styles →" }), make("span", { textContent: `${split} styles ↓` }));
  first.append(corner, ...columns.map((seed, i) => head(i + 1, 0, seed, "col")));
  const others = rows.map((seed, j) => {
    const row = make("tr");
    row.append(head(0, j + 1, seed, "row"), ...columns.map((other, i) => {
      const cell = make("td", { tabIndex: 0 });
      cell.dataset.words = `Seed ${other} with the ${split} styles of seed ${seed}`;
      cell.append(picture(i + 1, j + 1, cell.dataset.words));
      cell.onpointerenter = cell.onfocus = () => mark(cell, true);
      cell.onpointerleave = cell.onblur = () => mark(cell, false);
      return cell;
    }));
    return row;
  });
  table.style.setProperty("--stt-columns", across + 1);
  table.replaceChildren(first, ...others);
  reading.textContent = hint;
}
