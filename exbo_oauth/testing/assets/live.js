// Asks for the timeline again every second and shows it when it has changed. The server renders; nothing is made here.
"use strict";

const timeline = document.getElementById("timeline");
const news = document.getElementById("news");
const paused = document.getElementById("paused");

async function look() {
  try {
    const answer = await fetch("/sandbox/timeline?seen=" + encodeURIComponent(timeline.dataset.version));
    if (answer.status === 200) {
      const chart = timeline.querySelector(".chart");
      const wasAtEnd = !chart || chart.scrollLeft + chart.clientWidth >= chart.scrollWidth - 4;
      timeline.innerHTML = await answer.text();
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

const chart = timeline.querySelector(".chart");
if (chart) chart.scrollLeft = chart.scrollWidth;
setTimeout(look, 1000);
