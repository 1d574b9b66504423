// Written for rewardscape, Apache-2.0. What all pages share: the query, seeded data, icons, pieces of markup.
"use strict";
const query = new URLSearchParams(location.search);
const NAME = location.pathname.split("/").pop().replace(".html", "");
const STATE = query.get("state") || document.querySelector('meta[name="states"]').content.split(",")[0].trim();
const FILL = Number(query.get("fill") || 0);
document.documentElement.dataset.theme = query.get("theme") === "dark" ? "dark" : "light";
document.documentElement.lang = "en";
const is = (...states) => states.includes(STATE);

// mulberry32 seeded by the page's name and the fill: no clock, no Math.random, so a capture can be repeated
let seed = [...`${NAME}/${FILL}`].reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0, 2166136261);
function random() {
  seed = (seed + 0x6d2b79f5) >>> 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const int = (low, high) => low + Math.floor(random() * (high - low + 1));
const chance = (p) => random() < p;
const pick = (list) => list[int(0, list.length - 1)];
function shuffle(list) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) { const j = int(0, i); [out[i], out[j]] = [out[j], out[i]]; }
  return out;
}
const sample = (list, n) => shuffle(list).slice(0, n);
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const money = (low, high) => (int(low * 100, high * 100) / 100).toFixed(2);
const clock = () => `${String(int(7, 21)).padStart(2, "0")}:${pick(["00", "05", "10", "15", "20", "30", "40", "45", "50"])}`;
const day = () => `${int(1, 28)} ${pick(MONTHS).slice(0, 3)}`;

const FIRST = ["Ada", "Bruno", "Chen", "Dalia", "Emre", "Freya", "Goran", "Hana", "Imani", "Jonas", "Keiko", "Luis", "Maren", "Nadia", "Omar", "Priya", "Quentin", "Rosa", "Samir", "Tilda", "Umar", "Vera", "Wanda", "Yusuf", "Zoe"];
const LAST = ["Abbott", "Bauer", "Castro", "Dahl", "Endo", "Farouk", "Grant", "Haas", "Ilves", "Jansen", "Kaya", "Lopez", "Moreau", "Nowak", "Okafor", "Park", "Quist", "Rossi", "Sato", "Tamm", "Ueda", "Vance", "Weber", "Young", "Zeman"];
const CITIES = ["Lisbon", "Osaka", "Nairobi", "Quito", "Oslo", "Hanoi", "Lagos", "Porto", "Cairo", "Lima", "Perth", "Turin", "Gdansk", "Izmir", "Bergen", "Dakar", "Leeds", "Malaga", "Natal", "Riga", "Seoul", "Tunis", "Utrecht", "Vienna", "Zagreb"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEK = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const TOPICS = ["Budget review", "Release notes", "Garden party", "Train tickets", "Invoice overdue", "Design draft", "Team lunch", "Server migration", "Photo album", "Lease renewal", "Book club", "Quarterly report", "Water meter", "School play", "New laptop", "Travel refund", "Survey results", "Piano lesson", "Vacation plan", "Security update", "Weekly digest", "Parcel delivery", "Job interview", "Workshop outline", "Kitchen repair"];
const ADJECTIVES = ["Amber", "Brisk", "Calm", "Dusty", "Early", "Fancy", "Green", "Hidden", "Ivory", "Jolly", "Keen", "Little", "Mellow", "Noble", "Open", "Quiet", "Rapid", "Silver", "Tall", "Urban", "Velvet", "Warm"];
const THINGS = ["Lantern", "Kettle", "Backpack", "Notebook", "Umbrella", "Blanket", "Camera", "Bicycle", "Teapot", "Headphones", "Desk lamp", "Sneakers", "Thermos", "Keyboard", "Cushion", "Skillet", "Raincoat", "Tripod", "Speaker", "Planter", "Puzzle", "Wallet", "Scarf", "Mirror"];
const FILES = ["budget.xlsx", "notes.txt", "poster.png", "thesis.pdf", "backup.zip", "invoice-204.pdf", "roadmap.docx", "logo.svg", "survey.csv", "slides.pptx", "contract.pdf", "recipe.md", "archive.tar", "minutes.docx", "photo-17.jpg", "theme.css", "index.html", "song.mp3", "clip.mp4", "readme.md"];
const SENTENCES = ["We moved the meeting to the larger room.", "Please check the numbers before noon.", "The new version is ready to try.", "Nobody has replied yet, shall we wait?", "I left the keys at the front desk.", "Thanks for the quick answer!", "The supplier asks for a signature.", "Could you bring the projector?", "It rained all day but the tour was fine.", "The second draft reads much better.", "Let me know if the date suits you.", "Attached you find the signed copy."];
const person = () => `${pick(FIRST)} ${pick(LAST)}`;
const people = (n) => { const f = sample(FIRST, n), l = sample(LAST, n); return f.map((x, i) => `${x} ${l[i]}`); };
const product = () => `${pick(ADJECTIVES)} ${pick(THINGS)}`;
const products = (n) => { const a = shuffle(ADJECTIVES), t = shuffle(THINGS); return times(n, (i) => `${a[i % a.length]} ${t[i % t.length]}`); };

const PATHS = {
  add: "M12 5v14M5 12h14", close: "M6 6l12 12M18 6L6 18", menu: "M4 7h16M4 12h16M4 17h16", more: "M12 5h.01M12 12h.01M12 19h.01", search: "M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4", trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v6M14 11v6", save: "M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6", print: "M7 8V4h10v4M7 17H4V8h16v9h-3M7 14h10v6H7z",
  star: "M12 3l2.7 5.8 6.3.8-4.6 4.3 1.2 6.2L12 17l-5.6 3.1 1.2-6.2L3 9.600l6.300-.8z", heart: "M12 20S4 14.500 4 9a4 4 0 018-1 4 4 0 018 1c0 5.500-8 11-8 11z", flag: "M6 21V4h12l-3 4 3 4H6", bell: "M6 17V11a6 6 0 0112 0v6l2 2H4zM10 21h4",
  home: "M4 11l8-7 8 7v9h-5v-6H9v6H4z", user: "M12 4a4 4 0 100 8 4 4 0 000-8zM4 21c1-5 4-7 8-7s7 2 8 7", users: "M9 5a3.500 3.500 0 100 7 3.500 3.500 0 000-7zM2 20c1-4 3-6 7-6s6 2 7 6M16 5a3.500 3.500 0 010 7M18 14c2 1 3.500 3 4 6", gear: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v4M12 18v4M2 12h4M18 12h4M5 5l3 3M16 16l3 3M5 19l3-3M16 8l3-3",
  mail: "M3 6h18v12H3zM3 7l9 7 9-7", send: "M3 12l18-8-7 17-3-7z", reply: "M9 6L4 11l5 5M4 11h10c4 0 6 2 6 7", forward: "M15 6l5 5-5 5M20 11H10c-4 0-6 2-6 7", attach: "M8 12l6-6a3.500 3.500 0 015 5l-8 8a5.500 5.500 0 01-8-8l7-7", inbox: "M4 5h16v14H4zM4 14h5l1 2h4l1-2h5",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v5M16 3v5", clock: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 7v5l3 3", map: "M9 4L3 6v14l6-2 6 2 6-2V4l-6 2zM9 4v14M15 6v14", pin: "M12 21s-7-7-7-12a7 7 0 0114 0c0 5-7 12-7 12zM12 7a2.500 2.500 0 100 5 2.500 2.500 0 000-5z", locate: "M12 7a5 5 0 100 10 5 5 0 000-10zM12 2v4M12 18v4M2 12h4M18 12h4",
  cart: "M3 4h3l2 11h10l2-8H7M9 19h.01M17 19h.01", card: "M3 6h18v12H3zM3 10h18M6 15h4", gift: "M4 11h16v9H4zM3 7h18v4H3zM12 7v13M12 7S9 2 7 4s5 3 5 3 3-5 5-3-5 3-5 3", tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01", truck: "M3 7h11v9H3zM14 10h4l3 3v3h-7M7 18h.01M17 18h.01",
  play: "M7 4l13 8-13 8z", pause: "M8 5v14M16 5v14", next: "M6 5l9 7-9 7zM18 5v14", previous: "M18 5l-9 7 9 7zM6 5v14", volume: "M4 9h4l5-4v14l-5-4H4zM16 9c2 2 2 4 0 6M18.500 6c4 4 4 8 0 12", mute: "M4 9h4l5-4v14l-5-4H4zM16 10l5 5M21 10l-5 5", shuffle: "M4 7h4l8 10h4M4 17h4l2-3M14 9l2-2h4M18 4l3 3-3 3M18 14l3 3-3 3", repeat: "M5 11V7h13M15 4l3 3-3 3M19 13v4H6M9 20l-3-3 3-3", full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5", captions: "M3 6h18v12H3zM7 11h4M7 14h2M13 14h4M15 11h2",
  left: "M15 5l-7 7 7 7", right: "M9 5l7 7-7 7", up: "M5 15l7-7 7 7", down: "M5 9l7 7 7-7", back: "M20 12H4M10 6l-6 6 6 6", refresh: "M20 11a8 8 0 10-2 6M20 5v6h-6", undo: "M8 5L4 9l4 4M4 9h10a5 5 0 010 10h-4", redo: "M16 5l4 4-4 4M20 9H10a5 5 0 000 10h4",
  filter: "M4 5h16l-6 8v6l-4-2v-4z", sort: "M8 4v16M4 16l4 4 4-4M16 20V4M12 8l4-4 4 4", share: "M18 4a2 2 0 100 4 2 2 0 000-4zM6 10a2 2 0 100 4 2 2 0 000-4zM18 16a2 2 0 100 4 2 2 0 000-4zM8 11l8-4M8 13l8 4", download: "M12 4v11M7 11l5 5 5-5M4 20h16", upload: "M12 16V5M7 9l5-5 5 5M4 20h16", link: "M10 14a4 4 0 006 0l3-3a4 4 0 00-6-6l-1 1M14 10a4 4 0 00-6 0l-3 3a4 4 0 006 6l1-1", copy: "M8 8h12v12H8zM4 16V4h12", cut: "M6 15a3 3 0 100 6 3 3 0 000-6zM18 15a3 3 0 100 6 3 3 0 000-6zM8 16L17 3M16 16L7 3", paste: "M6 5h12v16H6zM9 3h6v4H9z",
  folder: "M3 6h7l2 3h9v11H3z", file: "M6 3h8l5 5v13H6zM14 3v5h5", image: "M3 5h18v14H3zM3 16l5-5 5 5 3-3 5 4M15 9h.01", camera: "M3 7h5l2-3h4l2 3h5v13H3zM12 10a3.500 3.500 0 100 7 3.500 3.500 0 000-7z", mic: "M12 3a3 3 0 00-3 3v6a3 3 0 006 0V6a3 3 0 00-3-3zM5 11a7 7 0 0014 0M12 18v3", video: "M3 7h12v10H3zM15 11l6-4v10l-6-4", phone: "M5 3h4l2 5-3 2a12 12 0 006 6l2-3 5 2v4c-9 2-18-7-16-16z", hangup: "M3 13c5-5 13-5 18 0l-3 3-3-2v-2H9v2l-3 2z",
  bold: "M7 4h6a4 4 0 010 8H7zM7 12h7a4 4 0 010 8H7z", italic: "M10 4h8M6 20h8M14 4l-4 16", underline: "M7 4v7a5 5 0 0010 0V4M5 21h14", list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01", alignleft: "M4 6h16M4 11h10M4 16h16M4 21h10", aligncenter: "M4 6h16M7 11h10M4 16h16M7 21h10", table: "M4 5h16v14H4zM4 10h16M4 14.500h16M10 5v14M15 5v14", chart: "M4 20h16M7 17v-6M12 17V6M17 17v-9", pie: "M12 3a9 9 0 109 9h-9zM15 3a7 7 0 016 6h-6z", grid: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z", columns: "M4 4h16v16H4zM12 4v16",
  lock: "M6 11h12v9H6zM8 11V8a4 4 0 018 0v3", eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7-10-7-10-7zM12 9a3 3 0 100 6 3 3 0 000-6z", key: "M8 12a4 4 0 100 8 4 4 0 000-8zM11 13l9-9M16 8l3 3", shield: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z", help: "M12 3a9 9 0 100 18 9 9 0 000-18zM9.500 9a2.500 2.500 0 115 0c0 2-2.500 2-2.500 4M12 17h.01", info: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v6M12 7h.01", warn: "M12 4l10 17H2zM12 10v5M12 18h.01", check: "M5 12l5 5 9-11", sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2", moon: "M19 14A8 8 0 0110 5a8 8 0 109 9z", cloud: "M7 18a4 4 0 010-8 5 5 0 0110-1 4.500 4.500 0 010 9z", drop: "M12 3s7 8 7 12a7 7 0 01-14 0c0-4 7-12 7-12z", wind: "M3 9h11a3 3 0 10-3-3M3 14h15a3 3 0 11-3 3", bolt: "M13 2L5 14h6l-1 8 8-12h-6z", wifi: "M3 10a13 13 0 0118 0M6 13.500a9 9 0 0112 0M9 17a4 4 0 016 0M12 20h.01", battery: "M3 8h15v8H3zM21 11v2M6 11v2M9 11v2", fire: "M12 3c1 4 5 6 5 11a5 5 0 01-10 0c0-3 2-4 2-7 2 1 3 2 3 4 1-2 1-5 0-8z",
  zoomin: "M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5M8 11h6M11 8v6", zoomout: "M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5M8 11h6", layers: "M12 3l9 5-9 5-9-5zM3 12l9 5 9-5M3 16l9 5 9-5", crop: "M7 2v15h15M2 7h15v15", brush: "M20 4L10 14M8 14a3 3 0 00-3 3c0 2-2 3-2 3h6a3 3 0 002-3zM10 14l2 2", eraser: "M4 15L14 5l6 6-9 9H8zM9 10l6 6", fill: "M5 12l7-8 8 8-8 8zM5 12h14M21 18v2", text: "M5 5h14M12 5v15M9 20h6", shape: "M3 12h8v8H3zM16 4a5 5 0 100 10 5 5 0 000-10z", pointer: "M6 3l13 10-6 1 3 6-3 1-3-6-4 4z", code: "M8 6l-6 6 6 6M16 6l6 6-6 6", terminal: "M3 5h18v14H3zM7 10l3 2-3 3M12 15h5", bug: "M8 9h8v6a4 4 0 01-8 0zM9 9a3 3 0 016 0M3 13h5M16 13h5M5 6l3 3M19 6l-3 3M5 20l3-3M19 20l-3-3", branch: "M7 4v16M7 14c8 0 10-2 10-7M17 4a1.500 1.500 0 100 3 1.500 1.500 0 000-3z", bookmark: "M7 3h10v18l-5-4-5 4z", archive: "M3 5h18v4H3zM5 9v11h14V9M10 13h4", pinned: "M9 3h6l-1 7 4 4H6l4-4zM12 14v7", emoji: "M12 3a9 9 0 100 18 9 9 0 000-18zM8.500 10h.01M15.500 10h.01M8 14c2 3 6 3 8 0", plane: "M2 14l20-7-6 13-4-5zM12 15l-3 5v-6", bed: "M3 7v12M3 15h18v4M21 15v-3a3 3 0 00-3-3h-8v6", fork: "M7 3v7a2 2 0 004 0V3M9 12v9M17 3c-3 3-3 8 0 9v9", bus: "M5 4h14v13H5zM5 11h14M8 17v3M16 17v3M8 14h.01M16 14h.01", walk: "M13 4h.01M12 8l-2 6 4 3 1 4M10 14l-3 6M12 8l4 3", bike: "M6 13a4 4 0 100 8 4 4 0 000-8zM18 13a4 4 0 100 8 4 4 0 000-8zM6 17l4-8h5l3 8M10 9H8",
};
const icon = (name) => `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="${PATHS[name] || PATHS.shape}"/></svg>`;
const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// pieces of markup: each returns a string; `more` is extra attributes
const iconButton = (name, label, more = "") => `<button class="icon" aria-label="${escape(label)}" title="${escape(label)}" ${more}>${icon(name)}</button>`;
const button = (label, kind = "", name = "", more = "") => `<button class="${kind}" ${more}>${name ? icon(name) : ""}${escape(label)}</button>`;
const link = (label, more = "") => `<a href="#" ${more}>${escape(label)}</a>`;
const field = (label, type = "text", value = "", more = "") => `<label class="field"><span>${escape(label)}</span><input type="${type}" value="${escape(value)}" ${more}></label>`;
const check = (label, on = false, more = "") => `<label class="check"><input type="checkbox" ${on ? "checked" : ""} ${more}>${escape(label)}</label>`;
const radio = (group, label, on = false) => `<label class="check"><input type="radio" name="${group}" ${on ? "checked" : ""}>${escape(label)}</label>`;
const toggle = (label, on = false) => `<button class="switch" role="switch" aria-checked="${on}" aria-label="${escape(label)}"></button>`;
const select = (label, options, chosen = 0, hidden = false) => hidden
  ? `<select aria-label="${escape(label)}">${options.map((o, i) => `<option ${i === chosen ? "selected" : ""}>${escape(o)}</option>`).join("")}</select>`
  : `<label class="field"><span>${escape(label)}</span><select>${options.map((o, i) => `<option ${i === chosen ? "selected" : ""}>${escape(o)}</option>`).join("")}</select></label>`;
const slider = (label, value, more = "") => `<label class="field"><span>${escape(label)}</span><input type="range" min="0" max="100" value="${value}" ${more}></label>`;
const tabs = (names, chosen = 0) => `<div class="tabs" role="tablist">${names.map((n, i) => `<button role="tab" aria-selected="${i === chosen}">${escape(n)}</button>`).join("")}</div>`;
const menu = (label, entries, style = "") => `<div class="menu" role="menu" aria-label="${escape(label)}" style="${style}">${entries.map((e) => e === "-" ? "<hr>" : `<button role="menuitem">${e[1] ? icon(e[1]) : ""}${escape(e[0])}</button>`).join("")}</div>`;
const dialog = (title, inner, buttons, role = "dialog") => `<div class="veil"><div role="${role}" aria-modal="true" aria-label="${escape(title)}"><div class="row between"><h2>${escape(title)}</h2>${iconButton("close", "Close")}</div>${inner}<footer>${buttons.map((b, i) => button(b, i === buttons.length - 1 ? (role === "alertdialog" ? "danger" : "primary") : "")).join("")}</footer></div></div>`;
const toast = (text, action) => `<div class="toast" role="status"><span>${escape(text)}</span>${action ? `<button>${escape(action)}</button>` : ""}</div>`;
const banner = (kind, text, action = "") => `<div class="banner ${kind}" role="alert">${icon(kind === "good" ? "check" : "warn")}<span class="grow">${escape(text)}</span>${action ? button(action, "plain") : ""}</div>`;
const avatar = (name) => `<span class="avatar" aria-hidden="true" style="background:hsl(${[...name].reduce((h, c) => h * 31 + c.charCodeAt(0), 7) % 360} 45% 42%)">${name.split(" ").map((w) => w[0]).join("")}</span>`;
const art = (height = 90) => { const a = int(0, 359), b = a + int(40, 160), x = int(10, 90), y = int(20, 80); return `<svg class="art" style="height:${height}px" viewBox="0 0 100 60" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="60" fill="hsl(${a} 40% 70%)"/><circle cx="${x}" cy="${y * 0.6}" r="${int(8, 22)}" fill="hsl(${b} 55% 60%)"/><path d="M0 60L${int(15, 40)} ${int(20, 40)} ${int(45, 70)} 60z" fill="hsl(${b + 60} 35% 45%)"/><path d="M${int(30, 50)} 60L${int(60, 80)} ${int(15, 35)} 100 60z" fill="hsl(${b + 90} 30% 38%)"/></svg>`; };
const side = (label, entries, chosen = 0, extra = "") => `<nav class="side ${is("menu") ? "open" : ""}" aria-label="${escape(label)}">${entries.map((e, i) => `<a href="#" ${i === chosen ? 'aria-current="page"' : ""}>${e[1] ? icon(e[1]) : ""}<span class="cut">${escape(e[0])}</span></a>`).join("")}${extra}</nav>`;
function show(markup) {
  const root = document.createElement("div");
  root.className = "app";
  root.innerHTML = markup;
  document.body.append(root);
  document.documentElement.dataset.ready = "1";
}
