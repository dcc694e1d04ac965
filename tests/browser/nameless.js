() => {
  // What a screen reader could not name.
  const all = (css) => [...document.querySelectorAll(css)];
  const found = [
    ...all("input:not([type=hidden]), select, textarea").filter((node) => !node.labels.length),
    ...all("a, button").filter((node) => !node.textContent.trim() && !node.ariaLabel),
    ...all("[role=img]").filter((node) => !node.ariaLabel),
    ...all("svg").filter((node) => node.getAttribute("role") !== "img" && node.getAttribute("aria-hidden") !== "true"),
    ...all("table").filter((node) => !node.querySelector("th[scope=col]")),
  ];
  return found.map((node) => node.outerHTML.slice(0, 160));
}
