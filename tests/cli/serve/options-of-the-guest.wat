;; RUN(2): serve --allow-net http://a %
;; RUN(2): serve --no-outgoing --allow-net a %
;; RUN(2): serve --no-outgoing --inherit-network %
;; RUN(2): serve --dir a:ro::/b %
;; RUN(2): serve --env =x %
;; RUN(1): serve --dir %tmp::/x --dir %tmp::/x/ %
;; RUN(1): serve --dir %tmp/a:ro %
;; RUN(2): serve --invoke 'f()' %
;; FILE: a:ro text
;; The options are those of `run`; what is wrong with them is said before anything is served.
(component)
