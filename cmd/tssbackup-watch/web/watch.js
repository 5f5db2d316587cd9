// The page is whole without this. It keeps the ages up to date, and the page when something is new.
"use strict";

// In the words of ago in words.go.
function ago(at) {
	const seconds = Math.floor((Date.now() - at) / 1000);
	if (seconds < 1) return "just now";
	if (seconds < 120) return seconds + " s ago";
	if (seconds < 7200) return Math.floor(seconds / 60) + " min ago";
	if (seconds < 172800) return Math.floor(seconds / 3600) + " h ago";
	return Math.floor(seconds / 86400) + " days ago";
}

function age() {
	for (const time of document.querySelectorAll("time[data-age]")) {
		const text = ago(Date.parse(time.dateTime));
		if (time.textContent !== text) time.textContent = text;
	}
}

// Puts the parts of another copy of the page in the places of this one's, and leaves what is open,
// where the keyboard is, and the parts that are the same.
function take(other) {
	const open = new Map();
	for (const d of document.querySelectorAll("details[id]")) open.set(d.id, d.open);
	const focus = document.activeElement && document.activeElement.id;
	for (const id of ["chain", "say", "reasons", "vaults", "time", "churns", "about"]) {
		const mine = document.getElementById(id), theirs = other.getElementById(id);
		if (!mine || !theirs) continue;
		for (const d of theirs.querySelectorAll("details[id]")) {
			if (open.has(d.id)) d.open = open.get(d.id);
		}
		mine.hidden = theirs.hidden;
		if (mine.innerHTML !== theirs.innerHTML) mine.replaceChildren(...theirs.childNodes);
	}
	const mine = document.getElementById("verdict"), theirs = other.getElementById("verdict");
	mine.className = theirs.className;
	for (const part of [".mark", ".age"]) mine.querySelector(part).replaceWith(theirs.querySelector(part));
	document.title = other.title;
	document.documentElement.dataset.content = other.documentElement.dataset.content;
	if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

async function renew() {
	const answer = await fetch(location.href, { cache: "no-store" });
	if (!answer.ok) return;
	take(new DOMParser().parseFromString(await answer.text(), "text/html"));
	age();
}

function hear(message) {
	const news = JSON.parse(message.data);
	if (String(news.content) !== document.documentElement.dataset.content || !document.getElementById("at")) {
		// Not everybody at once.
		setTimeout(() => renew().catch(() => {}), Math.random() * 2000);
		return;
	}
	document.getElementById("at").dateTime = news.at;
	document.getElementById("height").textContent = news.height;
	const block = document.getElementById("block");
	block.dateTime = news.block_time;
	block.textContent = news.block_text;
	age();
}

// The browser asks again by itself when the stream ends, but not when it is refused, as a web server
// before the page does while that is started anew.
function listen() {
	const stream = new EventSource("/events");
	stream.onmessage = hear;
	stream.onerror = () => {
		if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000 + Math.random() * 7000);
	};
}

listen();
setInterval(age, 1000);
age();
