// The settings' buttons, and the timeline: asked for again every second and shown when it has changed. The server renders;
// only its times are made the reader's own.
"use strict";

const timeline = document.getElementById("timeline");
const news = document.getElementById("news");
const paused = document.getElementById("paused");

// Settings

async function settings(box) {
  const answer = await fetch(box.dataset.address);
  if (!answer.ok) throw new Error(answer.statusText);
  return (await answer.text()).trimEnd();
}

async function show(box) {
  box.querySelector("code").textContent = await settings(box);
  const link = box.querySelector("[data-show]");
  if (link === document.activeElement) box.querySelector("pre").focus();  // it is about to vanish
  if (link) link.hidden = true;
}

async function copy(box, button) {
  try {
    await navigator.clipboard.writeText(await settings(box));
    const name = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = name; }, 2000);
  } catch {  // no clipboard for this page: show what to copy, selected
    await show(box).catch(() => { paused.hidden = false; });
    getSelection().selectAllChildren(box.querySelector("code"));
  }
}

for (const box of document.querySelectorAll(".settings")) {
  const button = box.querySelector("[data-copy]");
  button.hidden = false;
  button.addEventListener("click", () => copy(box, button));
  box.querySelector("[data-show]")?.addEventListener("click", (event) => {
    event.preventDefault();
    show(box).catch(() => { paused.hidden = false; });
  });
}

// The timeline

function tellLocalTime() {
  for (const time of timeline.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toTimeString().slice(0, 8);
  }
}

async function look() {
  try {
    const answer = await fetch("/sandbox/timeline?seen=" + encodeURIComponent(timeline.dataset.version));
    if (answer.status === 200) {
      const chart = timeline.querySelector(".chart");
      const wasAtEnd = !chart || chart.scrollLeft + chart.clientWidth >= chart.scrollWidth - 4;
      timeline.innerHTML = await answer.text();
      tellLocalTime();
      timeline.dataset.version = answer.headers.get("x-version");
      const redrawn = timeline.querySelector(".chart");
      if (redrawn && wasAtEnd) redrawn.scrollLeft = redrawn.scrollWidth;
      const newest = timeline.querySelector(".events li span");
      if (newest) news.textContent = newest.textContent;
    }
    paused.hidden = true;
  } catch {
    paused.hidden = false;
  }
  setTimeout(look, 1000);
}

tellLocalTime();
const chart = timeline.querySelector(".chart");
if (chart) chart.scrollLeft = chart.scrollWidth;
setTimeout(look, 1000);
