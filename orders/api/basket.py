"""Baskets over HTTP: several orders that are judged as one sum, and taken or denied together."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.answers import DenialSerializer, OrderSerializer, render_order
from orders.api.orders import OrderBody, OrderDetail
from orders.basket import LARGEST, Basket, parse_basket, submit_basket
from orders.models import Order
from tradingdesk.http import json_object


class BasketBody(serializers.Serializer):
    """The orders of a basket, each as it would be submitted alone, without `defer`."""

    orders = OrderBody(many=True, min_length=1, max_length=LARGEST)


class BasketSerializer(serializers.Serializer):
    """The orders of a basket, in the order in which they were asked for."""

    orders = OrderSerializer(many=True)


class BasketDenialSerializer(DenialSerializer):
    """Why an order of a basket is denied."""

    client_order_id = serializers.CharField()


class DeniedBasketSerializer(serializers.Serializer):
    """A denied basket: the first reason in the form of an error, all of them, and every order."""

    code = serializers.CharField()
    detail = serializers.CharField()
    field = serializers.CharField(allow_blank=True)
    denials = BasketDenialSerializer(many=True)
    orders = OrderSerializer(many=True)


@extend_schema_view(**dict.fromkeys(("get", "patch", "delete"), extend_schema(exclude=True)))
class OrderBasket(OrderDetail):
    """Orders that are taken together or not at all. An order called "basket" is here too."""

    needs = {**OrderDetail.needs, "POST": "orders.add_order"}

    def initial(self, request: Request, *args, **kwargs) -> None:
        self.received_at = timezone.now()
        super().initial(request, *args, **kwargs)

    @extend_schema(
        request=BasketBody, responses={201: BasketSerializer, 200: BasketSerializer, 422: DeniedBasketSerializer}
    )
    def post(self, request: Request, client_order_id: str) -> Response:
        """Submit a basket: 201 when all of it is accepted, 422 when risk or routing denies any of it.

        The same basket with the same ids again is answered with the same orders, 200 (422 if it was denied).
        """
        basket = submit_basket(
            tickets=parse_basket(json_object(request)),
            actor=request.user.get_username(),
            user=request.user,
            source=Order.Source.API,
            received_at=self.received_at,
        )
        return _answer(basket)


def _answer(basket: Basket) -> Response:
    orders = [render_order(order) for order in basket.orders]
    if basket.allowed:
        return Response({"orders": orders}, status.HTTP_201_CREATED if basket.created else status.HTTP_200_OK)
    denials = basket.denials
    error = {name: denials[0].get(name, "") for name in ("code", "detail", "field")}
    body = {**error, "denials": denials, "orders": orders}
    return Response(body, status=status.HTTP_422_UNPROCESSABLE_ENTITY)
