// Styles and script of the page. The colours are told apart by the colour-blind (the set of Okabe
// and Ito, darkened or lightened for its ground); lines also have names under the pointer.

#include "report/html/chart.h"
#include "report/html/parts.h"
#include "tandem/base/encode.h"

namespace tandem::report::html {
namespace {

// Nothing may be fetched, whatever stands in a caption.
const char* const policy =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

const char* const styles = R"css(
:root { --ground: #fbfbfa; --card: #fff; --ink: #1d1f23; --soft: #5d636e; --edge: #e2e4e8;
  --good: #00795a; --c0: #0067a5; --c1: #c24f00; --c2: #00795a; --c3: #b0447f; --c4: #9a6700;
  --c5: #2f86c9; --c6: #6d55b5; --c7: #55606e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181c; --card: #1e2126; --ink: #e8eaee; --soft: #a3aab6; --edge: #333841;
    --good: #35c79b; --c0: #58b0ec; --c1: #f28e4b; --c2: #35c79b; --c3: #e68fc0; --c4: #e3b54a;
    --c5: #8fcaf3; --c6: #b09cf0; --c7: #aab3c0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 24px; background: var(--ground);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 12px; } h2 { font-size: 17px; margin: 32px 0 6px; }
h3 { font-size: 14px; margin: 18px 0 6px; } .note, small { color: var(--soft); }
.note { margin: 0 0 10px; font-size: 13px; } .run { margin: 8px 0 4px; font-size: 13px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--edge); vertical-align: top;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
details { margin-top: 8px; font-size: 13px; color: var(--soft); } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 14px; }
.chart { margin: 0; padding: 10px 12px; background: var(--card); border: 1px solid var(--edge);
  border-radius: 8px; position: relative; }
figcaption { font-size: 13px; font-weight: 600; } svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--edge); } .axis { stroke: var(--soft); } .border { stroke: var(--soft);
  stroke-width: .8; } .level { stroke: var(--soft); stroke-dasharray: 5 4; }
.cursor { stroke: var(--soft); visibility: hidden; } .tick { fill: var(--soft); font-size: 11px; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.tip { position: absolute; pointer-events: none; padding: 6px 9px; border-radius: 6px;
  background: var(--card); border: 1px solid var(--edge); box-shadow: 0 2px 8px #0003;
  font-size: 12px; white-space: nowrap; z-index: 2; }
.track { display: flex; gap: 2px; } .stage { position: relative; min-width: 40px; height: 34px;
  background: var(--edge); border-radius: 5px; overflow: hidden; }
.done { position: absolute; inset: 0 auto 0 0; opacity: .35; } .stage span { position: relative;
  display: block; padding: 7px 10px; font-size: 13px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.bar { width: 160px; height: 10px; margin-top: 5px; background: var(--edge); border-radius: 4px; }
.bar div { height: 100%; border-radius: 4px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 14px; }
article { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 12px; }
.query { display: flex; gap: 12px; align-items: center; } .query p { margin: 0; font-weight: 600; }
article img { width: 72px; height: 72px; object-fit: contain; border-radius: 4px;
  background: var(--edge); image-rendering: auto; }
ol { margin: 10px 0 0; padding: 0; list-style: none; font-size: 13px; }
li { display: flex; gap: 10px; align-items: center; padding: 3px 8px;
  border-left: 3px solid var(--edge); } li img { width: 48px; height: 48px; }
li span { flex: 1; } li.right { border-left-color: var(--good); } li.right span { color: var(--good); }
)css";

// The values under the pointer: the nearest point of each line.
const char* const script = R"js(
for (const figure of document.querySelectorAll('.chart')) {
  const data = JSON.parse(figure.dataset.points), svg = figure.querySelector('svg');
  const cursor = figure.querySelector('.cursor'), tip = document.createElement('div');
  tip.className = 'tip'; tip.hidden = true; figure.append(tip);
  const [low, high, left, right] = data.x;
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect(), scale = 440 / box.width;
    const at = (event.clientX - box.left) * scale;
    const x = low + (at - left) / (right - left) * (high - low);
    tip.textContent = ''; let where = null;
    for (const line of data.lines) {
      let best = null;
      for (const p of line.points) if (!best || Math.abs(p[0] - x) < Math.abs(best[0] - x)) best = p;
      if (!best) continue;
      if (where === null) { where = best[0]; tip.append('step ' + best[0]); }
      const row = document.createElement('div'), mark = document.createElement('span');
      mark.className = 'swatch c' + line.colour;
      row.append(mark, line.name + '  ' + best[1]); tip.append(row);
    }
    if (where === null) return;
    const px = left + (high > low ? (where - low) / (high - low) : 0) * (right - left);
    cursor.setAttribute('x1', px); cursor.setAttribute('x2', px); cursor.style.visibility = 'visible';
    tip.hidden = false; tip.style.top = '34px';
    const middle = px / scale > box.width / 2;
    tip.style.left = middle ? '' : px / scale + 24 + 'px';
    tip.style.right = middle ? box.width - px / scale + 24 + 'px' : '';
  });
  svg.addEventListener('pointerleave', () => { tip.hidden = true; cursor.style.visibility = 'hidden'; });
}
document.documentElement.dataset.ready = 'yes';
)js";

// Lines are stroked, everything else is filled.
std::string colours() {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    const std::string number = std::to_string(i), colour = "var(--c" + number + ")";
    text += joined({".line.c", number, "{stroke:", colour, "}.dot.c", number, "{fill:", colour,
                    "}div.c", number, ",span.c", number, "{background:", colour, "}\n"});
  }
  return text;
}

}  // namespace

std::string document(const std::string& title, const std::string& body) {
  return std::string("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n") +
         "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n" +
         "<meta http-equiv=Content-Security-Policy content=\"" + policy + "\">\n<title>" +
         escape_html(title) + "</title>\n<style>" + styles + colours() +
         "</style>\n</head>\n<body>\n" + body + "<script>" + script +
         "</script>\n</body>\n</html>\n";
}

}  // namespace tandem::report::html
