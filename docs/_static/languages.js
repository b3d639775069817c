// The switch between the languages stays where one reads: headings are called otherwise there, and are in the same order.
const sections = () => [...document.querySelectorAll("article section[id]")];

document.addEventListener("click", ({ target }) => {
  const link = target.closest("nav.languages a");
  if (!link) return;
  const id = decodeURIComponent(location.hash.slice(1));
  const here = id && document.getElementById(id);
  const number = sections().indexOf(here && here.matches("section, section > span") ? here.closest("section") : null);
  link.hash = number < 0 ? id : `section-${number}`;
});

document.addEventListener("DOMContentLoaded", () => {
  const [, number] = /^#section-(\d+)$/.exec(location.hash) ?? [];
  const section = sections()[number];
  if (section) location.replace(`#${section.id}`);
});

// Sphinx's Russian has nothing in place of this sentence, and that is what a search would end with.
document.addEventListener("DOMContentLoaded", () => {
  if (document.documentElement.lang !== "ru" || typeof Documentation === "undefined") return;
  const many = "Нашлось страниц: ${resultCount}.";
  Documentation.TRANSLATIONS["Search finished, found one page matching the search query."] = [many, many, many, many];
});
