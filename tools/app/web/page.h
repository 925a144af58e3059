// The page as text. It loads nothing from elsewhere, and has no code or style in its own text: the browser is told to run none there.
#pragma once

namespace flowrun::app {

extern const char *const page_html, *const page_style, *const page_icon;
/// One script in two parts.
extern const char *const page_script, *const page_views;

}  // namespace flowrun::app
