"""RabbitMQ as the message queue: it carries, a Redis journal remembers.

Spoken by kombu. Rooms travel over a direct exchange ``<channel>/rooms``, one binding for each room
that a node has members in; the base channel over the fanout exchange that stock processes use.
Every queue is exclusive, deletes itself and is bounded, so nothing piles up: what is dropped is in
the journal, and the sweep makes up for it.
"""
