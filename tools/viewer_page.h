/* The page of tools/viewer/, put together by cmake/embed_viewer.cmake. */
#ifndef TENON_TOOLS_VIEWER_PAGE_H
#define TENON_TOOLS_VIEWER_PAGE_H

/* Text before and after the JSON document. */
extern const char viewer_page_before[], viewer_page_after[];

#endif
