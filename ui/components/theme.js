// Streamlit gives the theme's colors to components alone, and calls this function again when the theme changes: the page's own
// style (theme.css), and what lies over the page, find them at the document.
export default function ({ parentElement }) {
  const style = getComputedStyle(parentElement);
  for (const name of ["--st-link-color", "--st-text-color"]) document.documentElement.style.setProperty(name, style.getPropertyValue(name));
}
